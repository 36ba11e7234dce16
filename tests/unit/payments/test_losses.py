"""What a store keeps of a loss, read again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.kernel import Wei
from livefleet.payments import Loss, Losses
from livefleet.payments.losses import LOSSES_KEPT
from livefleet.payments.records import LostTicket
from tests.builders.clock import HandClock
from tests.builders.payments import GATEWAY

pytestmark = pytest.mark.unit

_WORDS = st.text(max_size=40).filter(lambda text: ";" not in text)


@given(reason=_WORDS, waited_for=_WORDS)
def test_note__read_again__is_the_same_loss(reason, waited_for):
    loss = Loss(5.0, GATEWAY, Wei(7), reason, waited_for)
    assert Loss.of(LostTicket(5.0, GATEWAY, Wei(7), loss.note)) == loss


def test_recall__more_than_is_kept__the_newest_stay_in_order():
    clock = HandClock()
    losses = Losses(clock)
    now = clock.now()
    losses.recall(Loss(now + place, GATEWAY, Wei(1), "x", "") for place in range(LOSSES_KEPT))
    losses.lose(Loss(now + LOSSES_KEPT, GATEWAY, Wei(1), "x", ""))
    assert [loss.at - now for loss in losses.recent()] == list(range(1, LOSSES_KEPT + 1))
    assert losses.count.total == 1
