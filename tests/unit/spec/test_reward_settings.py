import pytest
from pydantic import ValidationError

from livefleet.spec import RewardDuty

pytestmark = pytest.mark.unit

ETH = 10**18


def test_reward__nothing_said__has_limits_that_a_quiet_day_stays_far_below():
    duty = RewardDuty()
    assert (duty.max_gas_price, duty.urgent_max_gas_price, duty.max_cost_percent) == (0, 0, None)
    assert (duty.max_cost, duty.urgent_max_cost) == (3 * ETH // 1000, 15 * ETH // 1000)
    assert (duty.urgent_after_percent, duty.alarm_after_percent) == (50, 75)


def test_reward__share_of_what_it_earns__needs_the_price_of_an_lpt():
    with pytest.raises(ValidationError, match="say what an LPT is worth in lpt_price"):
        RewardDuty(max_cost_percent=20)
    duty = RewardDuty.model_validate({"max_cost_percent": 20, "lpt_price": "0.002 eth"})
    assert duty.lpt_price == ETH // 500


@pytest.mark.parametrize(
    "limits",
    [
        {"max_gas_price": "2 gwei", "urgent_max_gas_price": "1 gwei"},
        {"max_cost": "0.02 eth"},
        {"max_cost": 0, "urgent_max_cost": "1 eth"},
        {"urgent_max_gas_price": "1 gwei"},
    ],
)
def test_reward__urgent_limit_below_the_early_one__is_refused(limits):
    with pytest.raises(ValidationError, match="near the deadline a reward may only cost more"):
        RewardDuty.model_validate(limits)


def test_reward__no_urgent_limit__may_cost_anything_near_the_deadline():
    duty = RewardDuty.model_validate({"max_gas_price": "1 gwei", "urgent_max_cost": 0})
    assert (duty.urgent_max_gas_price, duty.urgent_max_cost) == (0, 0)
