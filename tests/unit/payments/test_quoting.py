from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.kernel import MAX_WIN_PROB, Refused, Round, Wei
from livefleet.payments import InsufficientReserve, NoTicketRound, PriceList, default_redeem_gas
from livefleet.payments.pricing import adjusted, fit_int64
from livefleet.payments.recipient import creation_round, face_value, ticket_params, win_prob
from livefleet.payments.sender_monitor import SenderMonitor, available_funds, is_unlocking, max_float, reserve_alloc
from livefleet.spec import ModelEntry, NetworkName, NodeSpec, OrchestratorSettings, Prices, TicketSettings
from tests.builders.payments import (
    ETH,
    GATEWAY,
    ORCHESTRATOR,
    OTHER,
    ROUND_HASH,
    VECTORS,
    ToldChain,
    a_head,
    a_sender,
    some_prices,
)

pytestmark = pytest.mark.unit

ANY_MODEL = ("text-to-image", "tiny")


# Prices --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS["auto_adjusted_prices"], ids=lambda v: v["base_price"])
def test_adjusted__vector__agrees(vector):
    price = adjusted(Fraction(vector["base_price"]), Fraction(vector["tx_cost_multiplier"] or 0))

    assert (price.numerator, price.denominator) == (
        vector["advertised_price_per_unit"],
        vector["advertised_pixels_per_unit"],
    )


@given(base=st.fractions(0, 10**12), multiplier=st.fractions(Fraction(1, 100), 10**6))
def test_adjusted__any_price__is_the_floor_in_thousandths(base, multiplier):
    exact = base * (1 + 1 / multiplier) if base else Fraction(0)

    assert 0 <= exact - adjusted(base, multiplier) < Fraction(1, 1000)


def test_adjusted__too_large_for_int64__saturates():
    assert adjusted(Fraction(10**30), Fraction(100)) == Fraction(2**63 - 1, 1000)


def test_price_list__gateway_with_its_own_price__gets_it_in_any_case():
    prices = some_prices(gateways={GATEWAY.lower(): Fraction(900)})

    assert prices.base(GATEWAY) == 900
    assert prices.base(OTHER) == 1200
    assert prices.base(None) == 1200


def test_price_list__models_wanted__are_summed():
    prices = some_prices(models={ANY_MODEL: Fraction(5), ("text-to-image", "big"): Fraction(7)})

    assert prices.base(GATEWAY, [ANY_MODEL]) == 5
    assert prices.base(GATEWAY, [ANY_MODEL, ("text-to-image", "big"), ("text-to-image", "unknown")]) == 12


def test_price_list__models_without_a_price__cost_as_transcoding():
    assert some_prices().base(GATEWAY, [ANY_MODEL]) == 1200


def test_price_list__of_a_node__has_its_prices():
    spec = NodeSpec(
        fleet="f",
        name="n",
        role="orchestrator",
        orchestrator=OrchestratorSettings(service_uri="https://o:8935"),
        prices=Prices(video="1203/1000", gateways={GATEWAY: 7}),
        models=(ModelEntry(pipeline="text-to-image", model_id="tiny", price="5/2"),),
    )
    prices = PriceList.of(spec)

    assert prices.base(OTHER) == Fraction(1203, 1000)
    assert prices.base(GATEWAY) == 7
    assert prices.capability_prices() == (("text-to-image", "tiny", 2),)
    assert prices.auto_adjust


def test_fit_int64__too_fine__is_floored_to_whole_wei():
    assert fit_int64(Fraction(7, 2)) == Fraction(7, 2)
    assert fit_int64(Fraction(2**70 + 1, 2**64)) == 64


def test_fit_int64__too_large__is_refused():
    with pytest.raises(Refused, match=r"^price cannot be converted to int64$"):
        fit_int64(Fraction(2**63))


# Ticket parameters ---------------------------------------------------------------------------------------------------


def a_face_value(gas_price=10**9, max_float=10**20, **settings):
    return face_value(TicketSettings(**settings), redeem_gas=1_200_000, gas_price=Wei(gas_price), max_float=max_float)


def test_face_value__plenty_of_reserve__is_a_hundred_redemptions():
    assert a_face_value() == 100 * 1_200_000 * 10**9


def test_face_value__gas_for_nothing__is_a_hundred_expected_values():
    assert a_face_value(gas_price=0) == 100 * 8_000_000_000


def test_face_value__small_float__is_the_float():
    assert a_face_value(max_float=10**16) == 10**16


def test_face_value__limit_declared__is_the_limit():
    assert a_face_value(max_face_value=5 * 10**15) == 5 * 10**15


@pytest.mark.parametrize("max_float", [-1, 0, 7_999_999_999])
def test_face_value__below_expected_value__is_refused(max_float):
    with pytest.raises(InsufficientReserve, match=r"^insufficient sender reserve$"):
        a_face_value(max_float=max_float)


def test_face_value__below_cost_but_fine_at_3_gwei__is_taken():
    assert a_face_value(gas_price=10 * 10**9, max_float=1_200_000 * 3 * 10**9) == 1_200_000 * 3 * 10**9


def test_face_value__below_cost_and_below_3_gwei__is_refused():
    with pytest.raises(InsufficientReserve):
        a_face_value(gas_price=10 * 10**9, max_float=1_200_000 * 3 * 10**9 - 1)


def test_win_prob__face_value_equals_expected__always_wins():
    assert win_prob(Wei(8), 8) == MAX_WIN_PROB
    assert win_prob(Wei(0), 8) == 0


def test_redeem_gas__default__depends_on_the_network():
    assert default_redeem_gas(NetworkName.ARBITRUM_ONE) == 1_200_000
    assert default_redeem_gas(NetworkName.DEVCHAIN) == 350_000


def test_creation_round__hash_known__is_the_last_round():
    found = creation_round(a_head())

    assert (found.creation_round, found.creation_round_block_hash) == (3500, ROUND_HASH)


def test_creation_round__zero_hash__is_the_round_before():
    found = creation_round(a_head(round_block_hash=bytes(32)))

    assert (found.creation_round, found.creation_round_block_hash) == (3499, b"\x22" * 32)


@pytest.mark.parametrize(
    "head",
    [
        a_head(round_block_hash=bytes(32), previous_round_block_hash=bytes(32)),
        a_head(last_initialized_round=Round(0)),
        a_head(last_initialized_round=Round(1), round_block_hash=bytes(32)),
    ],
)
def test_creation_round__nothing_to_commit_to__is_not_quoted(head):
    with pytest.raises(NoTicketRound):
        creation_round(head)


def test_ticket_params__price_zero__ask_for_nothing():
    params = ticket_params(
        b"secret", recipient=ORCHESTRATOR, sender=GATEWAY, value=Wei(0), expected=8, price=Fraction(0), head=a_head(),
        seed=1,
    )  # fmt: skip

    assert (params.face_value, params.win_prob) == (0, 0)
    assert len(params.recipient_rand_hash) == 32
    assert params.expiration_block == 21_000_040


# Senders -------------------------------------------------------------------------------------------------------------


def test_reserve_alloc__share_and_claims__are_the_reference_rule():
    sender = a_sender(
        reserve_remaining=Wei(900), reserve_claimed_in_round=Wei(109), reserve_claimed_by_recipient=Wei(30)
    )

    assert reserve_alloc(sender, 10) == 70
    assert reserve_alloc(sender, 0) == 0


@pytest.mark.parametrize(
    ("deposit", "pending", "expected"),
    [(0, 0, 100), (299, 100, 0), (300, 100, 100), (0, 150, -50)],
)
def test_max_float__pending_redemptions__come_off_unless_the_deposit_covers_them(deposit, pending, expected):
    sender = a_sender(deposit=Wei(deposit), reserve_remaining=Wei(1000))

    assert max_float(sender, 10, Wei(pending)) == expected


def test_available_funds__deposit_counts():
    assert available_funds(a_sender(deposit=Wei(50), reserve_remaining=Wei(1000)), 10, Wei(20)) == 130


@pytest.mark.parametrize(("withdraw_round", "expected"), [(0, False), (3500, True), (3501, True), (3502, False)])
def test_is_unlocking__withdraw_round__next_round_is_too_soon(withdraw_round, expected):
    assert is_unlocking(a_sender(withdraw_round=Round(withdraw_round)), a_head()) is expected


async def test_monitor__redemption_fails__pending_amount_is_given_back():
    monitor = SenderMonitor(ToldChain(sender=a_sender(deposit=Wei(0), reserve_remaining=Wei(10 * ETH))))
    with monitor.redeeming(GATEWAY, Wei(ETH // 4)):
        with pytest.raises(RuntimeError), monitor.redeeming(GATEWAY, Wei(ETH // 2)):  # noqa: PT012 -- fails inside
            assert await monitor.max_float(GATEWAY) == ETH // 4
            raise RuntimeError
        assert await monitor.max_float(GATEWAY) == ETH * 3 // 4
    assert await monitor.max_float(GATEWAY) == ETH
    assert monitor.pending(GATEWAY) == 0
