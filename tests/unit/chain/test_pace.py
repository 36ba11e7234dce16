import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain import ChainHead
from livefleet.chain.pace import Pace
from livefleet.kernel import BlockNumber, Round, Wei

pytestmark = pytest.mark.unit

PACE = Pace(l1_block_s=12.0, idle_s=60.0)


def a_head(l1_block, *, initialized=True, start=1000, length=6377):
    return ChainHead(
        l1_block=BlockNumber(l1_block),
        current_round=Round(5),
        last_initialized_round=Round(5 if initialized else 4),
        round_block_hash=b"\1" * 32,
        previous_round_block_hash=b"\2" * 32,
        pool_size=1,
        gas_price=Wei(1),
        seen_at=0.0,
        round_start_block=BlockNumber(start),
        round_length=length,
    )


def wait(head, *, block_age_s=0.0, round_age_s=9e9, is_active=False, wished_s=None, awaited=()):
    return PACE.next_look_s(
        head, block_age_s=block_age_s, round_age_s=round_age_s, is_active=is_active, wished_s=wished_s, awaited=awaited
    )


def test_next_look__nothing_is_near__once_a_minute_and_once_a_block_while_somebody_pays():
    assert wait(a_head(2000)) == 60.0
    assert wait(a_head(2000), is_active=True) == 12.0


def test_next_look__round_is_about_to_end__wakes_before_and_looks_twice_a_second():
    end = 1000 + 6377
    assert wait(a_head(end - 4)) == pytest.approx(30.0)  # two and a half blocks: a block and a half before the end
    assert wait(a_head(end - 4), block_age_s=10.0) == pytest.approx(20.0)
    assert wait(a_head(end - 1)) == 0.5
    assert wait(a_head(end - 1), block_age_s=30.0) == 0.5  # it is late
    assert wait(a_head(end - 1), block_age_s=12.0 + 90.0) == 2.0
    assert wait(a_head(end - 1), block_age_s=3600.0) == 60.0  # blocks do not come at all


@pytest.mark.parametrize(("age_s", "every_s"), [(0.0, 0.5), (59.0, 0.5), (61.0, 2.0), (601.0, 60.0)])
def test_next_look__round_that_nobody_initialised__often_and_then_less(age_s, every_s):
    assert wait(a_head(7377, initialized=False, start=7377), round_age_s=age_s) == every_s


def test_next_look__awaited_block__is_watched_for_like_a_rounds_end():
    assert wait(a_head(2000), awaited=[BlockNumber(2001)]) == 0.5
    assert wait(a_head(2000), awaited=[BlockNumber(2003), BlockNumber(2500)]) == pytest.approx(18.0)
    assert wait(a_head(2000), awaited=[BlockNumber(1999)]) == 60.0  # past


def test_next_look__wish__is_kept():
    assert wait(a_head(2000), wished_s=1.0) == 1.0
    assert wait(a_head(2000), is_active=True, wished_s=30.0) == 12.0


@given(
    st.integers(1000, 7376),
    st.floats(0, 10_000),
    st.booleans(),
    st.lists(st.integers(0, 9000).map(BlockNumber), max_size=4),
)
def test_next_look__whatever_is_awaited__never_idles_past_the_rounds_end(l1_block, block_age_s, is_active, awaited):
    head = a_head(l1_block)
    wait_s = wait(head, block_age_s=block_age_s, is_active=is_active, awaited=awaited)
    assert 0 < wait_s <= 60.0
    away_s = (head.round_end_block - l1_block) * 12.0 - block_age_s
    if away_s > 0:
        assert wait_s <= max(away_s, 0.5)
