import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.wire.media_type import media_type_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("content_type", "found"),
    [
        ("multipart/mixed; boundary=00112233", "multipart/mixed"),
        ('Multipart/Mixed;boundary="a;b"; charset=utf-8', "multipart/mixed"),
        (" text/event-stream ", "text/event-stream"),
        ("text/event-stream;", "text/event-stream"),
        ("livepeer/ai-worker-error", "livepeer/ai-worker-error"),
        ("nonsense", "nonsense"),
    ],
)  # fmt: skip
def test_media_type__as_go_reads_it(content_type, found):
    assert media_type_of(content_type) == found


@pytest.mark.parametrize(
    ("content_type", "fault"),
    [
        ("", "mime: no media type"),
        ("; charset=utf-8", "mime: no media type"),
        ("/mixed", "mime: no media type"),
        ("multipart mixed", "mime: expected slash after first token"),
        ("multipart/", "mime: expected token after slash"),
        ("multipart/;boundary=x", "mime: expected token after slash"),
        ("multipart/mixed x", "mime: unexpected content after media subtype"),
        ("multipart/mixed; boundary", "mime: invalid media parameter"),
        ("multipart/mixed; =x", "mime: invalid media parameter"),
        ('multipart/mixed; boundary="x', "mime: invalid media parameter"),
        ("multipart/mixed; a=1; A=2", "mime: duplicate parameter name"),
    ],
)
def test_media_type__unparsable__says_what_go_says(content_type, fault):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 -- the text is compared whole
        media_type_of(content_type)
    assert str(caught.value) == fault


@given(st.text(max_size=60))
def test_media_type__any_text__is_read_or_refused(text):
    with contextlib.suppress(ValueError):
        assert media_type_of(text) == text.partition(";")[0].strip().lower()
