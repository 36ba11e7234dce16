import asyncio
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.ai.json_text import LARGE_TEXT, holds_large_text, json_pieces, rendered

pytestmark = pytest.mark.unit

LONG = 'a "quoted"\\ line\n\u00e9\u4e2d\U0001f600\x07' * 20_000
texts = st.text() | st.just(LONG)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


@given(values, st.booleans(), st.booleans())
def test_pieces__of_any_value__are_what_the_library_writes(value, only_ascii, sort_keys):
    whole = json.dumps(value, ensure_ascii=only_ascii, separators=(",", ":"), sort_keys=sort_keys).encode()
    assert b"".join(json_pieces(value, only_ascii=only_ascii, sort_keys=sort_keys)) == whole


def test_pieces__of_a_large_answer__are_small():
    pieces = list(json_pieces({"masks": LONG * 3, "logits": [LONG]}))
    assert max(map(len, pieces)) < 12 * LARGE_TEXT
    assert len(pieces) > 8


@pytest.mark.parametrize("value", [float("nan"), [LONG, float("inf")], {"a": LONG, "b": {"c": float("nan")}}])
async def test_rendered__no_json__is_refused(value):
    with pytest.raises(ValueError, match="JSON"):
        await rendered(value)


async def test_rendered__half_of_a_character__is_refused():
    with pytest.raises(ValueError, match="surrogates"):
        await rendered({"a": LONG, "b": "\ud800"})


def test_holds_large_text__anywhere_inside():
    assert [holds_large_text(v) for v in ({"a": [LONG]}, [{"b": LONG}], LONG, {"a": "b"}, 5, None)] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


async def test_rendered__forty_megabytes__the_loop_has_its_turn_all_the_while():
    body = {"masks": "0.123456789, " * 1_500_000, "logits": "-1.5, " * 3_500_000}
    longest, before = 0.0, time.perf_counter()

    async def tick() -> None:
        nonlocal longest, before
        while True:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            longest, before = max(longest, now - before), now

    ticking = asyncio.ensure_future(tick())
    await asyncio.sleep(0.01)
    began = time.perf_counter()
    text = await rendered(body)
    took = time.perf_counter() - began
    ticking.cancel()
    assert len(text) > 40_000_000
    print(f"40 MB in {took:.2f} s, the loop waited {longest:.3f} s at most")
    assert longest < took / 2
