import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.ai.jobs import AiResult, Media
from livefleet.ai.result_frames import as_frames, of_frames

pytestmark = pytest.mark.unit

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
results = st.builds(
    AiResult,
    st.dictionaries(st.text(), values, max_size=4),
    st.dictionaries(st.text(), st.builds(Media, st.binary(max_size=50), st.text()), max_size=4),
)


@given(results)
def test_frames__of_any_result__are_read_as_the_same(result: AiResult):
    assert of_frames(b"".join(as_frames(result))) == result


@given(results, st.integers(1, 60))
def test_frames__cut_off_or_longer__are_refused(result: AiResult, by: int):
    frames = b"".join(as_frames(result))
    for broken in (frames[:-by], frames + b"x" * by):
        with pytest.raises(ValueError, match=r"head|ends after|bytes more"):
            of_frames(broken)


@given(st.binary(max_size=100))
def test_frames__any_bytes__are_read_or_refused(data: bytes):
    with contextlib.suppress(ValueError):
        assert isinstance(of_frames(data), AiResult)


def test_frames__negative_size__is_refused():
    head = b'{"body":{},"media":[["0","image/png",-1]]}'
    with pytest.raises(ValueError, match="ends after"):
        of_frames(len(head).to_bytes(4, "big") + head)


def test_frames__no_number__is_refused():
    with pytest.raises(ValueError, match="JSON"):
        as_frames(AiResult({"score": float("nan")}))


LONG = "ab\u00e9\u4e2d\U0001f600" * 90_000


def test_frames__long_texts_at_any_depth__are_beside_the_head_and_come_back():
    body = {"masks": LONG, "more": [{"a": 1}, [LONG[::-1], "short"]], "scores": "[1]"}
    frames = as_frames(AiResult(body, {"0": Media(b"png", "image/png")}))
    assert len(frames[1]) < 1000
    assert max(map(len, frames)) < 1 << 21
    assert of_frames(b"".join(frames)) == AiResult(body, {"0": Media(b"png", "image/png")})


@pytest.mark.parametrize("place", [["masks", "deeper"], ["list", 7], [3]])
def test_frames__text_without_a_place__is_refused(place):
    head = json.dumps({"body": {"masks": "", "list": []}, "media": [], "texts": [[place, 2]]}).encode()
    with pytest.raises(ValueError, match="no place"):
        of_frames(len(head).to_bytes(4, "big") + head + b"ab")


def test_frames__text_that_is_no_utf8__is_refused():
    head = b'{"body":{},"media":[],"texts":[[["masks"],2]]}'
    with pytest.raises(ValueError, match="utf-8"):
        of_frames(len(head).to_bytes(4, "big") + head + b"\xff\xff")
