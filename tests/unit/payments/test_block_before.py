"""Finding the block of a time by headers, in two questions."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.kernel import Transient
from livefleet.payments.redemption_logs import block_before

pytestmark = pytest.mark.unit

_BEGIN = 1_600_000_000


class Headers:
    """A chain whose blocks come every `every_s`, with a pause in the middle."""

    def __init__(self, every_s, pause_at, pause_s):
        self.every_s, self.pause_at, self.pause_s = every_s, pause_at, pause_s
        self.questions = []
        self.missing = None

    def at(self, block):
        return int(_BEGIN + block * self.every_s + (self.pause_s if block > self.pause_at else 0))

    async def headers(self, blocks):
        self.questions.append(len(blocks))
        return [None if block == self.missing else SimpleNamespace(timestamp=self.at(block)) for block in blocks]


@given(
    last=st.integers(0, 400_000_000),
    every_s=st.floats(0.2, 15.0),
    pause=st.tuples(st.integers(0, 400_000_000), st.integers(0, 10**7)),
    share=st.floats(-0.1, 1.1),
)
async def test_block_before__any_chain__is_before_and_near_in_two_questions(last, every_s, pause, share):
    chain = Headers(every_s, *pause)
    at = _BEGIN + (chain.at(last) - _BEGIN) * share
    block = await block_before(chain, at, last)
    assert 0 <= block <= last
    assert block == 0 or chain.at(block) < at
    assert len(chain.questions) == 2
    assert max(chain.questions) <= 40
    exact = max((b for b in (0, *_around(chain, at, last)) if chain.at(b) < at), default=0)
    assert exact - block <= max(2, (last - exact + 8_000) // 2)  # no more than half of what lies behind it besides


def _around(chain, at, last):
    low, high = 0, last
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if chain.at(middle) < at else (low, middle - 1)
    return (low,)


async def test_block_before__a_header_is_missing__says_which():
    chain = Headers(1.0, 0, 0)
    chain.missing = 4_000
    with pytest.raises(Transient, match="block 4000"):
        await block_before(chain, _BEGIN, 5_000)
