"""The 380 elements of a frame's MPEG-7 signature (ISO/IEC 15938-3): which parts of the picture are compared.

The picture is a grid of 32 x 32 cells. A rectangle is four digits in base 32 (0-9, a-v): left, top, right, bottom, all
inclusive. An element is the mean of its rectangles (joined by `+`), less the mean of those behind `-` where there are
any. The numbers were measured by showing FFmpeg's `signature` filter pictures with one bright cell.
"""

from typing import TypeAlias

__all__ = ["CATEGORIES", "WORDS", "Element", "Rectangle"]

Rectangle: TypeAlias = tuple[int, int, int, int]
"""Left, top, right, bottom in cells, the last two exclusive."""

Element: TypeAlias = tuple[tuple[Rectangle, ...], tuple[Rectangle, ...]]
"""What counts for, and what against; nothing against: the element is held against mid-grey."""

_TEXT = (
    # A1, means of sixteenths and quarters
    """
    0077 80f7 087f 88ff g0n7 o0v7 g8nf o8vf 0g7n 8gfn 0o7v 8ofv ggnn ogvn gonv oovv 00ff g0vf 0gfv ggvv
    """,
    # A2, means of centred squares
    """
    2299 c2j9 m2t9 2c9j ccjj mctj 2m9t cmjt mmtt 99mm 66pp 33ss
    """,
    # D1, halves of small squares
    """
    0013-2033 4071-4273 0637-0435 6477-4457 8093-a0b3 c0f1-c2f3 86b7-84b5 e4f7-c4d7 081b-283b 4879-4a7b 0e3f-0c3d
    6c7f-4c5f 889b-a8bb c8f9-cafb 8ebf-8cbd ecff-ccdf g0j1-g2j3 m0n3-k0l3 g4h7-i4j7 k6n7-k4n5 o0r1-o2r3 u0v3-s0t3
    o4p7-q4r7 s6v7-s4v5 g8j9-gajb m8nb-k8lb gchf-icjf kenf-kcnd o8r9-oarb u8vb-s8tb ocpf-qcrf sevf-scvd 0g3h-0i3j
    6g7j-4g5j 0k1n-2k3n 4m7n-4k7l 8gbh-8ibj egfj-cgdj 8k9n-akbn cmfn-ckfl 0o3p-0q3r 6o7r-4o5r 0s1v-2s3v 4u7v-4s7t
    8obp-8qbr eofr-codr 8s9v-asbv cufv-csft gghj-igjj kgnh-kinj gmjn-gkjl mknn-kkln ogpj-qgrj sgvh-sivj omrn-okrl
    ukvn-sktn gohr-iojr konp-kqnr gujv-gsjt msnv-kslv oopr-qorr sovp-sqvr ourv-osrt usvv-sstv 2235-4255 6293-6495
    2859-2657 8699-6679 c2d5-e2f5 g2j3-g4j5 c8f9-c6f7 i6j9-g6h9 m2n5-o2p5 q2t3-q4t5 m8p9-m6p7 s6t9-q6r9 2c3f-4c5f
    6c9d-6e9f 2i5j-2g5h 8g9j-6g7j ccfd-ceff gcjd-gejf cifj-cgfh gijj-ggjh mcnf-ocpf qctd-qetf mipj-mgph sgtj-qgrj
    2m3p-4m5p 6m9n-6o9p 2s5t-2q5r 8q9t-6q7t cmdp-emfp gmjn-gojp csft-cqfr iqjt-gqht mmnp-ompp qmtn-qotp mspt-mqpr
    sqtt-qqrt 77a8-79aa b7ca-d7ea 7b8e-9bae bbec-bdee h7k8-h9ka l7ma-n7oa hbie-jbke lboc-ldoe 7hai-7jak bhck-dhek
    7l8o-9lao blem-bneo hhki-hjkk lhmk-nhok hlio-jlko llom-lnoo
    """,
    # D2, diagonals of small squares
    """
    0033+4477-4073+0437 80b3+c4f7-c0f3+84b7 g0j3+k4n7-k0n3+g4j7 o0r3+s4v7-s0v3+o4r7 083b+4c7f-487b+0c3f
    88bb+ccff-c8fb+8cbf g8jb+kcnf-k8nb+gcjf o8rb+scvf-s8vb+ocrf 0g3j+4k7n-4g7j+0k3n 8gbj+ckfn-cgfj+8kbn
    ggjj+kknn-kgnj+gkjn ogrj+skvn-sgvj+okrn 0o3r+4s7v-4o7r+0s3v 8obr+csfv-cofr+8sbv gojr+ksnv-konr+gsjv
    oorr+ssvv-sovr+osrv 4477+88bb-84b7+487b c4f7+g8jb-g4j7+c8fb k4n7+o8rb-o4r7+k8nb 4c7f+8gbj-8cbf+4g7j
    ccff+ggjj-gcjf+cgfj kcnf+ogrj-ocrf+kgnj 4k7n+8obr-8kbn+4o7r ckfn+gojr-gkjn+cofr kknn+oorr-okrn+konr
    """,
    # D3, pairs of large squares
    """
    11aa-b1ka 11aa-l1ua 11aa-1bak 11aa-bbkk 11aa-lbuk 11aa-1lau 11aa-blku 11aa-lluu b1ka-l1ua b1ka-1bak b1ka-bbkk
    b1ka-lbuk b1ka-1lau b1ka-blku b1ka-lluu l1ua-1bak l1ua-bbkk l1ua-lbuk l1ua-1lau l1ua-blku l1ua-lluu 1bak-bbkk
    1bak-lbuk 1bak-1lau 1bak-blku 1bak-lluu bbkk-lbuk bbkk-1lau bbkk-blku bbkk-lluu lbuk-1lau lbuk-blku lbuk-lluu
    1lau-blku 1lau-lluu blku-lluu
    """,
    # D4, pairs of middle squares
    """
    7dci-jdoi d7ic-djio 77cc-jjoo j7oc-7jco d7ic-jdoi jdoi-djio djio-7dci 7dci-d7ic 77cc-j7oc j7oc-jjoo jjoo-7jco
    7jco-77cc ddii-d1i6 ddii-pdui ddii-dpiu ddii-1d6i d1i6-dpiu 1d6i-pdui 71c6-j1o6 7pcu-jpou 176c-1j6o p7uc-pjuo
    71c6-176c j1o6-p7uc pjuo-jpou 1j6o-7pcu 1166-p1u6 p1u6-ppuu ppuu-1p6u 1p6u-1166
    """,
    # D5, squares' frames and their insides
    """
    11a3+143a+84aa+487a-4477 b1k3+b4da+i4ka+e8ha-e4h7 l1u3+l4na+s4ua+o8ra-o4r7 1bad+1e3k+8eak+4i7k-4e7h
    bbkd+bedk+iekk+eihk-eehh lbud+lenk+seuk+oirk-oerh 1lan+1o3u+8oau+4s7u-4o7r blkn+bodu+ioku+eshu-eohr
    llun+lonu+souu+osru-oorr 66f8+698f+d9ff+9dcf-99cc g6p8+g9if+n9pf+jdmf-j9mc 6gfi+6j8p+djfp+9ncp-9jcm
    ggpi+gjip+njpp+jnmp-jjmm 61f3+648a+d4fa+98ca-94c7 g1p3+g4ia+n4pa+j8ma-j4m7 16a8+193f+89af+4d7f-497c
    b6k8+b9df+i9kf+edhf-e9hc l6u8+l9nf+s9uf+odrf-o9rc 6bfd+6e8k+defk+9ick-9ech gbpd+geik+nepk+jimk-jemh
    1gai+1j3p+8jap+4n7p-4j7m bgki+bjdp+ijkp+enhp-ejhm lgui+ljnp+sjup+onrp-ojrm 6lfn+6o8u+dofu+9scu-9ocr
    glpn+goiu+nopu+jsmu-jomr 22e6+276e+a7ee+7a9e-7799 72j6+77be+f7je+caee-c7e9 c2o6+c7ge+k7oe+haje-h7j9
    h2t6+h7le+p7te+maoe-m7o9 27eb+2c6j+acej+7f9j-7c9e 77jb+7cbj+fcjj+cfej-ccee c7ob+ccgj+kcoj+hfjj-hcje
    h7tb+hclj+pctj+mfoj-mcoe 2ceg+2h6o+aheo+7k9o-7h9j 7cjg+7hbo+fhjo+ckeo-chej ccog+chgo+khoo+hkjo-hhjj
    hctg+hhlo+phto+mkoo-mhoj 2hel+2m6t+amet+7p9t-7m9o 7hjl+7mbt+fmjt+cpet-cmeo chol+cmgt+kmot+hpjt-hmjo
    hhtl+hmlt+pmtt+mpot-mmoo 83d4+8598+c5d8+a7b8-a5b6 d3i4+d5e8+h5i8+f7g8-f5g6 i3n4+i5j8+m5n8+k7l8-k5l6
    3889+3a4d+7a8d+5c6d-5a6b 88d9+8a9d+cadd+acbd-aabb d8i9+daed+haid+fcgd-fagb i8n9+iajd+mand+kcld-kalb
    n8s9+naod+rasd+pcqd-paqb 3d8e+3f4i+7f8i+5h6i-5f6g 8dde+8f9i+cfdi+ahbi-afbg ddie+dfei+hfii+fhgi-ffgg
    idne+ifji+mfni+khli-kflg ndse+nfoi+rfsi+phqi-pfqg 3i8j+3k4n+7k8n+5m6n-5k6l 8idj+8k9n+ckdn+ambn-akbl
    diij+dken+hkin+fmgn-fkgl iinj+ikjn+mknn+kmln-kkll nisj+nkon+rksn+pmqn-pkql 8ndo+8p9s+cpds+arbs-apbq
    dnio+dpes+hpis+frgs-fpgq inno+ipjs+mpns+krls-kplq
    """,
    # D6, crosses: lying rectangles and standing ones
    """
    35ca-53ac b5ka-d3ic j5sa-l3qc 3dci-5bak bdki-dbik jdsi-lbqk 3lcq-5jas blkq-djis jlsq-ljqs
    """,
    # D7, middles of threes
    """
    0437+84b7-4477 4073+487b-4477 5487+d4g7-94c7 90c3+98cb-94c7 a4d7+i4l7-e4h7 e0h3+e8hb-e4h7 f4i7+n4q7-j4m7
    j0m3+j8mb-j4m7 k4n7+s4v7-o4r7 o0r3+o8rb-o4r7 093c+89bc-497c 4578+4d7g-497c 598c+d9gc-99cc 95c8+9dcg-99cc
    a9dc+i9lc-e9hc e5h8+edhg-e9hc f9ic+n9qc-j9mc j5m8+jdmg-j9mc k9nc+s9vc-o9rc o5r8+odrg-o9rc 0e3h+8ebh-4e7h
    4a7d+4i7l-4e7h 5e8h+degh-9ech 9acd+9icl-9ech aedh+ielh-eehh eahd+eihl-eehh feih+neqh-jemh jamd+jiml-jemh
    kenh+sevh-oerh oard+oirl-oerh 0j3m+8jbm-4j7m 4f7i+4n7q-4j7m 5j8m+djgm-9jcm 9fci+9ncq-9jcm ajdm+ijlm-ejhm
    efhi+enhq-ejhm fjim+njqm-jjmm jfmi+jnmq-jjmm kjnm+sjvm-ojrm ofri+onrq-ojrm 0o3r+8obr-4o7r 4k7n+4s7v-4o7r
    5o8r+dogr-9ocr 9kcn+9scv-9ocr aodr+iolr-eohr ekhn+eshv-eohr foir+noqr-jomr jkmn+jsmv-jomr konr+sovr-oorr
    okrn+osrv-oorr
    """,
    # D8, halves of large squares
    """
    0073-0477 80b7-c0f7 083f-487f 88fb-8cff g0j7-k0n7 o0v3-o4v7 g8nb-gcnf o8rf-s8vf 0g3n-4g7n 8gfj-8kfn 0o7r-0s7v
    8obv-cofv ggnj-gknn ogrn-sgvn gojv-konv oovr-osvv 007f-80ff g0v7-g8vf 0gfn-0ofv ggnv-ogvv
    """,
)

WORDS = (
    (210, 217, 219, 274, 334),
    (44, 175, 233, 270, 273),
    (57, 70, 103, 237, 269),
    (100, 285, 295, 337, 354),
    (101, 102, 111, 275, 296),
)
"""The elements that make up a frame's five words."""


def _rectangle(digits: str) -> Rectangle:
    left, top, right, bottom = (int(digit, 32) for digit in digits)
    return left, top, right + 1, bottom + 1


def _element(text: str) -> Element:
    plus, _, minus = text.partition("-")
    return (
        tuple(_rectangle(digits) for digits in plus.split("+")),
        tuple(_rectangle(digits) for digits in minus.split("+") if digits),
    )


CATEGORIES = tuple(tuple(_element(element) for element in text.split()) for text in _TEXT)
"""The elements in their order. What is large and what is small is decided within each category."""
