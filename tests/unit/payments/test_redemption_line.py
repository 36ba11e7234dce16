"""When a ticket that failed in a mined transaction is tried again."""

import pytest

from livefleet.kernel import BlockNumber, Wei
from livefleet.payments import StoredTicket, TicketState
from livefleet.payments.decision import Moment, Why
from livefleet.payments.redemption_line import RedemptionLine
from livefleet.payments.redemption_policy import RedemptionPolicy
from livefleet.spec import BatchMode
from tests.builders.clock import HandClock
from tests.builders.payments import a_head, a_winner
from tests.builders.redeeming import ROUND_LENGTH, some_times

pytestmark = pytest.mark.unit

END = 20_999_900 + 2 * ROUND_LENGTH  # the first L1 block of the round in which it is refused
POLICY = RedemptionPolicy(batch=BatchMode.NEVER, l1_block_s=12.0)


@pytest.mark.parametrize(
    ("blocks_left", "failures", "pause_s"),
    [
        (ROUND_LENGTH, 1, 30.0),
        (ROUND_LENGTH, 3, 120.0),
        (16, 1, 24.0),  # an eighth of the time that is left
        (16, 5, 24.0),
        (1, 1, 1.5),
    ],
)
def test_kept_back__failed_when_mined__waits_longer_each_time_but_never_past_the_time_that_is_left(
    blocks_left, failures, pause_s
):
    clock = HandClock()
    line = RedemptionLine(clock)
    stored = StoredTicket(a_winner(face_value=Wei(1000)), TicketState.PENDING, "", 0.0, "", None, None)
    moment = Moment(a_head(l1_block=BlockNumber(END - blocks_left)), some_times())

    def waits() -> bool:
        found = line.kept_back([stored], [stored], moment, POLICY)
        assert all(wait.why is Why.FAILED for wait in found.values())
        return bool(found)

    assert not waits()
    for _ in range(failures):
        line.fail(stored)
    clock.time += pause_s - 0.1
    assert waits()
    clock.time += 0.2
    assert not waits()
