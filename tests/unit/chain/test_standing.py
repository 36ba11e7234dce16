"""Places in the pool, and how far from falling out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain.pool import PoolMember, neighbours
from livefleet.chain.standing import standing
from livefleet.kernel import ZERO_ADDRESS, Address

pytestmark = pytest.mark.unit

US = Address("0x" + "ff" * 20)


def a_pool(*stakes, ours=None):
    """Members by stake, highest first; `ours`: the place that is ours."""
    return tuple(
        PoolMember(US if place == ours else Address(f"0x{place + 1:040x}"), stake) for place, stake in enumerate(stakes)
    )


def test_standing__full_pool__measures_from_the_last_place():
    seen = standing(a_pool(100, 90, 50, 40, ours=1), US, 90, 4)
    assert (seen.rank, seen.margin, seen.places_below, seen.missing) == (2, 50, 2, 0)
    assert [member.stake for member in seen.ahead] == [100]
    assert [member.stake for member in seen.behind] == [50, 40]
    assert not seen.is_close(55)
    assert seen.is_close(56)


def test_standing__last_place_of_a_full_pool__is_always_close():
    seen = standing(a_pool(100, 40, ours=1), US, 40, 2)
    assert (seen.margin, seen.places_below) == (0, 0)
    assert seen.is_close(0)


def test_standing__room_in_the_pool__nobody_falls_out():
    inside, outside = standing(a_pool(100, 40, ours=1), US, 40, 3), standing(a_pool(100, 40), US, 1, 3)
    assert (inside.margin, inside.is_close(100), inside.missing) == (None, False, 0)
    assert (outside.rank, outside.missing) == (None, 0)


def test_standing__outside_a_full_pool__lacks_one_more_than_the_last_has():
    seen = standing(a_pool(100, 40), US, 40, 2)
    assert (seen.rank, seen.missing, seen.margin) == (None, 1, None)
    assert standing((), US, 5, 0).missing == 0


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.integers(0, 60))
def test_standing__what_it_says_is_missing__is_what_the_contract_would_take(stakes, ours):
    pool = a_pool(*sorted(stakes, reverse=True))
    seen = standing(pool, US, ours, len(pool))
    takes = neighbours(pool, US, ours, len(pool)) != (ZERO_ADDRESS, ZERO_ADDRESS) or (
        len(pool) == 1 and ours > pool[-1].stake
    )
    assert takes == (seen.missing == 0)
    assert neighbours(pool, US, ours + seen.missing, len(pool)) != (ZERO_ADDRESS, ZERO_ADDRESS) or len(pool) == 1
