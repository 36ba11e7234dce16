from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.kernel import Wei
from livefleet.payments import SteadyGas
from livefleet.payments.price_gas import median_over_time
from tests.builders.payments import HandClock

pytestmark = pytest.mark.unit

GWEI = 10**9
prices = st.integers(0, 10**12).map(Wei)
steps = st.lists(st.tuples(st.integers(0, 300), prices), max_size=60)


def fed(first, moves, window_s=600):
    clock = HandClock()
    gas = SteadyGas(first, window_s=window_s, clock=clock)
    for seconds, price in moves:
        clock.time += seconds
        gas.observe(price)
    return gas, clock


def test_steady_gas__first_price__is_used_at_once():
    gas, _ = fed(Wei(GWEI), [])

    assert gas.price() == GWEI


def test_steady_gas__spike_shorter_than_half_of_the_window__moves_nothing():
    gas, clock = fed(Wei(GWEI), [(12, Wei(GWEI))] * 50)
    for _ in range(24):
        clock.time += 12
        gas.observe(Wei(100 * GWEI))
        assert gas.price() == GWEI
    clock.time += 12
    gas.observe(Wei(GWEI))

    assert gas.price() == GWEI


def test_steady_gas__price_that_stays__is_followed_after_half_of_the_window():
    gas, _ = fed(Wei(GWEI), [(12, Wei(GWEI))] * 50 + [(12, Wei(5 * GWEI))] * 27)

    assert gas.price() == 5 * GWEI


def test_steady_gas__wobbling_by_less_than_a_tenth__is_held():
    gas, clock = fed(Wei(1000), [])
    for step in range(200):
        clock.time += 12
        gas.observe(Wei(1000 + (step * 37) % 100))
        assert gas.price() == 1000


def test_steady_gas__chain_was_not_seen_for_long__believes_the_last_price_held():
    gas, clock = fed(Wei(GWEI), [])
    clock.time += 86_400
    gas.observe(Wei(50 * GWEI))

    assert gas.price() == GWEI


def test_steady_gas__no_window__is_the_price_before_or_now():
    gas, _ = fed(Wei(GWEI), [(12, Wei(5 * GWEI))], window_s=0)

    assert gas.price() == 5 * GWEI


@given(prices, steps)
def test_steady_gas__any_history__stays_within_what_was_seen(first, moves):
    gas, _ = fed(first, moves)
    seen = [first, *(price for _, price in moves)]

    assert min(seen) <= gas.price() <= max(seen)
    assert type(gas.price()) is int


@given(prices, steps.filter(bool))
def test_steady_gas__any_history__is_within_a_tenth_of_the_median(first, moves):
    at, seen = 1_000_000.0, [(1_000_000.0, first)]
    for seconds, price in moves:
        at += seconds
        seen.append((at, price))
    gas, _ = fed(first, moves)

    median = median_over_time(seen, start=at - 600, end=at)
    assert abs(median - gas.price()) <= gas.price() * Fraction(1, 10)


@given(prices, steps, st.integers(1, 10**9))
def test_median__every_price_higher__is_not_lower(first, moves, more):
    at, seen = 0.0, [(0.0, first)]
    for seconds, price in moves:
        at += seconds
        seen.append((at, price))
    raised = [(when, Wei(price + more)) for when, price in seen]

    low, high = (median_over_time(prices, start=at - 600, end=at) for prices in (seen, raised))
    assert high == low + more
