import contextlib

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
    assert of_frames(as_frames(result)) == result


@given(results, st.integers(1, 60))
def test_frames__cut_off_or_longer__are_refused(result: AiResult, by: int):
    frames = as_frames(result)
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
