import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livefleet.media.capacity_search import CapacitySearch
from livefleet.media.live_load import percentile

pytestmark = pytest.mark.unit


def searched(true_limit, most=256):
    search, tried = CapacitySearch(most), []
    while (level := search.next) is not None:
        tried.append(level)
        search.tried(level, held=level <= true_limit)
    return search.limit, tried


def test_search__seven__doubles_then_halves():
    assert searched(7) == (7, [1, 2, 4, 8, 6, 7])


def test_search__not_even_one__is_zero_after_one_try():
    assert searched(0) == (0, [1])


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(1, 256))
def test_search__any_limit__is_found_in_few_tries(true_limit, most):
    limit, tried = searched(true_limit, most)
    assert limit == min(true_limit, most)
    assert len(tried) <= 2 * math.ceil(math.log2(most + 1)) + 1
    assert len(set(tried)) == len(tried)


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=40, max_size=40))
def test_search__outcomes_without_order__ends_all_the_same(outcomes):
    search = CapacitySearch(64)
    for held in outcomes:
        if search.next is None:
            break
        search.tried(search.next, held=held)
    assert search.next is None


def test_percentile__nearest_rank():
    values = [float(n) for n in range(1, 101)]
    assert (percentile(values, 0.95), percentile(values, 1), percentile(values, 0)) == (95, 100, 1)
    assert percentile([3.0], 0.5) == 3
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)
