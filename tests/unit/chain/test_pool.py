import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain.pool import PoolMember, neighbours
from livefleet.kernel import ZERO_ADDRESS, Address

pytestmark = pytest.mark.unit


def _address(number: int) -> Address:
    return Address(f"0x{number:040x}")


_POOLS = st.lists(st.integers(min_value=1, max_value=50), max_size=12).map(
    lambda stakes: [PoolMember(_address(i + 1), stake) for i, stake in enumerate(sorted(stakes, reverse=True))]
)


@given(pool=_POOLS, stake=st.integers(min_value=1, max_value=60), member=st.integers(min_value=0, max_value=12))
def test_neighbours__any_pool_with_room__are_adjacent_and_keep_the_order(pool, stake, member):
    own = _address(member)
    previous, following = neighbours(pool, own, stake, max_size=100)
    others = [ZERO_ADDRESS, *(m.address for m in pool if m.address != own), ZERO_ADDRESS]
    stakes = {m.address: m.stake for m in pool}
    assert (previous, following) in itertools.pairwise(others)
    assert previous == ZERO_ADDRESS or stakes[previous] >= stake
    assert following == ZERO_ADDRESS or stakes[following] < stake


def test_neighbours__full_pool_and_a_stake_no_larger_than_the_tail__has_no_place():
    pool = [PoolMember(_address(1), 9), PoolMember(_address(2), 5)]
    assert neighbours(pool, _address(3), 5, max_size=2) == (ZERO_ADDRESS, ZERO_ADDRESS)


def test_neighbours__full_pool_and_a_larger_stake__replaces_the_tail():
    pool = [PoolMember(_address(1), 9), PoolMember(_address(2), 5)]
    assert neighbours(pool, _address(3), 6, max_size=2) == (_address(1), ZERO_ADDRESS)
