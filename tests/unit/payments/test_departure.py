"""Whether an orchestrator leaves the active set with this round."""

import pytest

from livefleet.kernel import BlockNumber, Round
from livefleet.payments import DepartureKind, LeavingActiveSet, PoolPlace, blocks_to_the_end, departure_of
from livefleet.payments.departure import margin_blocks
from livefleet.payments.nonces import Nonces
from livefleet.payments.recipient import PARAMS_VALID_BLOCKS, ticket_params
from tests.builders.payments import GATEWAY, ORCHESTRATOR, a_head

pytestmark = pytest.mark.unit

FOREVER = 2**256 - 1
HEAD = a_head(round_start_block=BlockNumber(20_999_000), round_length=6377)
END = 20_999_000 + 6377


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        (PoolPlace(3000, FOREVER, is_last_of_full_pool=False), None),
        (PoolPlace(3000, 3501, is_last_of_full_pool=False), DepartureKind.LEAVING),
        (PoolPlace(3000, 3501, is_last_of_full_pool=True), DepartureKind.LEAVING),
        (PoolPlace(3000, FOREVER, is_last_of_full_pool=True), DepartureKind.AT_RISK),
        (PoolPlace(3501, FOREVER, is_last_of_full_pool=False), None),  # evicted and back: active again from the next
        (PoolPlace(3000, 3500, is_last_of_full_pool=False), None),  # gone already
        (PoolPlace(0, 0, is_last_of_full_pool=True), None),  # never there
    ],
)
def test_departure__each_place__has_its_answer(place, kind):
    found = departure_of(place, HEAD)
    assert (None if found is None else found.kind) is kind
    if found is not None:
        assert (found.round, found.at_block, found.parameters_end) == (3500, END, END - 25)
        assert found.is_sure is (kind is DepartureKind.LEAVING)


def test_margin__short_rounds__is_a_tenth_of_one():
    assert [margin_blocks(length) for length in (6377, 100, 10)] == [25, 10, 2]


def test_blocks_to_the_end__parameters_of_now_outlive_the_margin__none_are_left():
    last_safe = END - 25 - PARAMS_VALID_BLOCKS
    assert blocks_to_the_end(a_head(**_at(last_safe))) < 0
    assert blocks_to_the_end(a_head(**_at(END - 1000))) == 1000 - PARAMS_VALID_BLOCKS - 50


def _at(block):
    return {"round_start_block": BlockNumber(20_999_000), "round_length": 6377, "l1_block": BlockNumber(block)}


@pytest.mark.parametrize(("block", "expires"), [(END - 100, END - 60), (END - 50, END - 25), (END - 26, END - 25)])
def test_ticket_params__recipient_leaves__expire_in_time(block, expires):
    assert _params(block).expiration_block == expires


def test_ticket_params__from_the_end_on__none_are_quoted():
    with pytest.raises(LeavingActiveSet):
        _params(END - 25)


def _params(block):
    return ticket_params(
        b"\x01" * 32,
        recipient=ORCHESTRATOR,
        sender=GATEWAY,
        value=10**15,
        expected=10**12,
        price=1,
        head=a_head(l1_block=BlockNumber(block), current_round=Round(3500)),
        seed=1,
        end=BlockNumber(END - 25),
    )


def test_nonces__closed__sets_are_forgotten_and_the_floor_stays():
    nonces = Nonces({})
    nonces.reserve(b"\x01" * 32, 100, GATEWAY, 1)
    nonces.reserve(b"\x02" * 32, 200, GATEWAY, 1)
    nonces.close(150)
    assert (len(nonces), nonces.floor) == (1, 150)
    nonces.close(120)
    assert (len(nonces), nonces.floor) == (1, 150)
