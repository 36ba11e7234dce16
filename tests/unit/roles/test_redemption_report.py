"""What a node tells of its redemptions."""

import math

import pytest

from livefleet.kernel import Wei
from livefleet.payments import Loss, Losses, RedemptionReport, Why
from livefleet.payments.redemption_gas import RedemptionGas
from livefleet.roles.redemption_report import redemption_part, redemption_state_readings
from tests.builders.clock import HandClock
from tests.builders.metrics import Scrape, drift
from tests.builders.payments import GATEWAY, OTHER

pytestmark = pytest.mark.unit


class Told:
    """As much of a Redeemer as is read here."""

    def __init__(self):
        self.last = RedemptionReport()
        self.clock = HandClock()
        self.losses = Losses(self.clock)
        self.gas = RedemptionGas()


def a_busy_one():
    redeemer = Told()
    redeemer.last.in_flight = 2
    redeemer.last.blocks_left = 50
    redeemer.last.waiting["gas price is above the limit"] = 3
    redeemer.last.why[Why.GAS_PRICE] = 3
    redeemer.last.expiring.add(Wei(7), 50, "gas price is above the limit")
    for sender in (GATEWAY, OTHER, OTHER):
        redeemer.losses.lose(Loss(redeemer.clock.now(), sender, Wei(100), "ticket did not win", ""))
    redeemer.losses.short.add(GATEWAY, by=5.0)
    redeemer.gas.learn([200_000], 150_000)
    redeemer.gas.learn([200_000] * 4, 400_000)
    return redeemer


def test_readings__nothing_happened__every_row_is_there():
    scrape = Scrape.of_readings(redemption_state_readings(Told(), l1_block_s=12.0))
    assert drift(scrape, "redeems") == []
    assert scrape.value("livefleet_ticket_expiry_seconds") == math.inf
    assert scrape.value("livefleet_tickets_lost_total", reason="ticket is expired") == 0
    assert {labels["why"] for labels in scrape.labels("livefleet_tickets_waiting")} == set(Why)


def test_readings__tickets_wait_and_are_lost__by_reason_and_not_by_sender():
    scrape = Scrape.of_readings(redemption_state_readings(a_busy_one(), l1_block_s=12.0))
    assert drift(scrape, "redeems") == []
    assert scrape.value("livefleet_tickets_waiting", why="gas_price") == 3
    assert scrape.value("livefleet_tickets_in_flight") == 2
    assert scrape.value("livefleet_ticket_expiry_seconds") == 600
    assert scrape.value("livefleet_tickets_expiring_soon_wei") == 7
    assert scrape.value("livefleet_tickets_lost_total", reason="ticket did not win") == 3
    assert scrape.value("livefleet_tickets_lost_wei_total", reason="ticket did not win") == 300
    assert scrape.value("livefleet_redemptions_short_wei_total") == 5
    assert scrape.value("livefleet_redemption_gas", kind="single") == 150_000
    assert scrape.value("livefleet_redemption_gas", kind="batch") == 100_000


def test_part__tickets_wait_and_are_lost__names_senders_too():
    part = redemption_part(a_busy_one(), l1_block_s=12.0)
    assert part["waiting"] == {"gas_price": 3}
    assert part["waiting_for"] == {"gas price is above the limit": 3}
    assert part["first_expires_in_s"] == 600
    lost = {(entry["reason"], entry["sender"]): entry for entry in part["lost_since_start"]}
    assert lost["ticket did not win", OTHER]["count"] == 2
    assert lost["ticket did not win", OTHER]["face_value_wei"] == 200
    lost = {entry["sender"]: (entry["count"], entry["face_value_wei"]) for entry in part["lost_last_day"]}
    assert lost == {GATEWAY: (1, 100), OTHER: (2, 200)}
    assert part["short_wei_since_start"] == {GATEWAY: 5}
    assert part["gas_of_last"] == {"single": 150_000, "batch": {"tickets": 4, "gas": 400_000}}


def test_part__nothing_happened__is_empty():
    part = redemption_part(Told(), l1_block_s=12.0)
    assert (part["in_flight"], part["waiting"], part["lost_since_start"]) == (0, {}, [])
    assert part["lost_last_day"] == []
    assert part["first_expires_in_s"] is None
