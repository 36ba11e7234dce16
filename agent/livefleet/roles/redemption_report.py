"""What a node tells of its redemptions: a part of /status, and metrics. health/README.md tells of each."""

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from livefleet.health import Reading
from livefleet.payments import Redeemer, Why

__all__ = ["redemption_part", "redemption_state_readings"]

_NOTHING_LOST: Mapping[str, float] = {"ticket is expired": 0.0}  # so that alerts have a series to look at


def redemption_part(redeemer: Redeemer, *, l1_block_s: float) -> dict[str, Any]:
    """Why tickets wait, how long they may, what was lost and of whom; `l1_block_s`: seconds an L1 block takes."""
    last, losses = redeemer.last, redeemer.losses
    counts = dict(losses.count.items())
    lately: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
    for loss in losses.recent():
        lately[loss.reason, loss.waited_for, loss.sender].append(loss.value)
    return {
        "in_flight": last.in_flight,
        "waiting": {why.value: count for why, count in sorted(last.why.items())},
        "waiting_for": dict(sorted(last.waiting.items())),
        "first_expires_in_s": None if last.blocks_left is None else round(last.blocks_left * l1_block_s),
        "expiring_soon": {"count": last.expiring.count, "face_value_wei": last.expiring.value},
        "lost_last_day": [
            {
                "reason": reason,
                "waited_for": waited_for,
                "sender": sender,
                "count": len(values),
                "face_value_wei": sum(values),
            }
            for (reason, waited_for, sender), values in sorted(lately.items())
        ],
        "lost_since_start": [
            {"reason": reason, "sender": sender, "count": round(counts[reason, sender]), "face_value_wei": round(value)}
            for (reason, sender), value in losses.value.items()
        ],
        "short_wei_since_start": {sender: round(value) for (sender,), value in losses.short.items()},
        "gas_of_last": {
            "single": redeemer.gas.last_single,
            "batch": None
            if redeemer.gas.last_batch is None
            else dict(zip(("tickets", "gas"), redeemer.gas.last_batch, strict=True)),
        },
    }


def redemption_state_readings(redeemer: Redeemer, *, l1_block_s: float) -> list[Reading]:
    """The same for /metrics. Senders are not told apart there: they have no bound."""
    last, losses, gas = redeemer.last, redeemer.losses, redeemer.gas
    left_s = math.inf if last.blocks_left is None else last.blocks_left * l1_block_s
    tickets, used = gas.last_batch or (1, 0)
    return [
        *(_gauge("tickets_waiting", "Winners that wait, by what for.", last.why[why], why=why.value) for why in Why),
        _gauge("tickets_in_flight", "Winners in a transaction.", last.in_flight),
        _gauge("tickets_expiring_soon", "Winners near their last moment that are stuck.", last.expiring.count),
        _gauge("tickets_expiring_soon_wei", "Their face value.", last.expiring.value),
        *(
            _counter("tickets_lost", "Winners lost since the start.", count, reason=reason)
            for reason, count in ({**_NOTHING_LOST} | losses.count.by(0)).items()
        ),
        *(
            _counter("tickets_lost_wei", "Their face value.", value, reason=reason)
            for reason, value in ({**_NOTHING_LOST} | losses.value.by(0)).items()
        ),
        _counter("redemptions_short_wei", "Face value that redemptions did not pay.", losses.short.total),
        _gauge("ticket_expiry_seconds", "Until the first pending winner's last moment.", left_s),
        _gauge("redemption_gas", "Gas a ticket, last transaction.", gas.last_single or 0, kind="single"),
        _gauge("redemption_gas", "Gas a ticket, last transaction.", used / tickets, kind="batch"),
    ]


def _counter(name: str, text: str, value: float, **labels: str) -> Reading:
    return (f"livefleet_{name}_total", "counter", text, labels, value)


def _gauge(name: str, text: str, value: float, **labels: str) -> Reading:
    return (f"livefleet_{name}", "gauge", text, labels, value)
