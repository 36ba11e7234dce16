"""What redemptions will cost, learnt from what they did cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.payments.redemption_gas import RedemptionGas, batch_gas_limit

pytestmark = pytest.mark.unit


def test_gas__nothing_seen__batches_save_from_two_tickets_on():
    gas = RedemptionGas()
    assert gas.single(190_000) == 190_000
    for count, measured in ((2, 275_000), (5, 511_000), (10, 904_000)):
        assert gas.batch([190_000] * count) == pytest.approx(measured, rel=0.02)


def test_gas__receipts__move_the_prediction_towards_them():
    gas = RedemptionGas()
    for _ in range(30):
        gas.learn([200_000], 150_000)
        gas.learn([200_000] * 4, 900_000)
    assert gas.single(200_000) == pytest.approx(150_000, rel=0.01)
    assert gas.batch([200_000] * 4) == pytest.approx(900_000, rel=0.01)
    assert (gas.last_single, gas.last_batch) == (150_000, (4, 900_000))


@given(estimates=st.lists(st.integers(150_000, 2_000_000), min_size=2, max_size=20), claims=st.integers(0, 20))
def test_limit__any_batch__leaves_the_last_ticket_what_it_needs_alone(estimates, claims):
    limit = batch_gas_limit(estimates, claims=claims)
    before_last = 21_000 + sum(estimate - 21_000 for estimate in estimates[:-1])
    assert (limit - before_last) * 63 // 64 >= estimates[-1] - 21_000
