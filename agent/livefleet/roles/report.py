"""Services' snapshots as JSON for /status and as numbers for /metrics."""

import math
from fractions import Fraction
from typing import Any

from livefleet.health import Reading
from livefleet.payments import PaymentsSnapshot
from livefleet.wire.server import ServerSnapshot

__all__ = ["payments_part", "payments_readings", "server_part", "server_readings"]

GWEI = 10**9


def server_part(now: ServerSnapshot) -> dict[str, Any]:
    """The front door and what went through it."""
    recent = now.last_durations_s
    return {
        "sessions": now.sessions,
        "max_sessions": now.max_sessions,
        "local_sessions": now.local_sessions,
        "workers": [{name: getattr(w, name) for name in w.__dataclass_fields__} for w in now.workers],
        "segments_ok": now.segments_ok,
        "segments_failed": now.segments_failed,
        "pixels": now.pixels,
        "requests_refused": now.requests_refused,
        "images_ok": now.images_ok,
        "images_failed": now.images_failed,
        "last_segment_s": round(recent[-1], 3) if recent else None,
        "front_door_restarts": now.front_door_restarts,
    }


def server_readings(now: ServerSnapshot) -> list[Reading]:
    """go-livepeer's names where it has one."""
    none: dict[str, str] = {}
    load = sum(w.sessions for w in now.workers)
    capacity = sum(w.capacity for w in now.workers)
    return [
        ("livepeer_current_sessions_total", "gauge", "Open transcoding sessions.", none, now.sessions),
        ("livepeer_max_sessions_total", "gauge", "Session limit.", none, now.max_sessions),
        ("livepeer_transcoders_number", "gauge", "Joined workers.", none, len(now.workers)),
        ("livepeer_transcoders_capacity", "gauge", "Sessions that joined workers offer.", none, capacity),
        ("livepeer_transcoders_load", "gauge", "Sessions on joined workers.", none, load),
        ("livepeer_mil_pixels_processed", "counter", "Million pixels charged.", none, now.pixels / 1e6),
        ("livefleet_segments_done", "counter", "Segments transcoded.", none, now.segments_ok),
        ("livefleet_segments_failed", "counter", "Segments that failed.", none, now.segments_failed),
        ("livefleet_requests_refused", "counter", "Work answered with 4xx or 5xx.", none, now.requests_refused),
        ("livefleet_images_done", "counter", "Image requests served.", none, now.images_ok),
        ("livefleet_images_failed", "counter", "Image requests that failed.", none, now.images_failed),
    ]


def payments_part(now: PaymentsSnapshot) -> dict[str, Any]:
    """Tickets through their life, in wei."""
    return {
        "on_chain": now.on_chain,
        "recipient": now.recipient,
        "price_wei_per_pixel": _price(now.price),
        "tickets": {
            "received": {"count": now.received.count, "expected_value_wei": _whole(now.received.value)},
            "won": {"count": now.won.count, "face_value_wei": _whole(now.won.value)},
            "pending": {"count": now.pending.count, "face_value_wei": _whole(now.pending.value)},
            "redeemed": {"count": now.redeemed.count, "face_value_wei": _whole(now.redeemed.value)},
            "lost": {"count": now.lost.count, "face_value_wei": _whole(now.lost.value)},
        },
        "paid_wei": now.paid,
        "refused": dict(now.refused),
        "senders": list(now.senders),
        "credit_wei": _whole(now.credit),
        "store_fault": now.store_fault,
    }


def payments_readings(now: PaymentsSnapshot) -> list[Reading]:
    """go-livepeer's names where it has one; it counts money in gwei."""
    none: dict[str, str] = {}
    readings: list[tuple[str, str, str, dict[str, str], Fraction | int]] = [
        ("livepeer_ticket_value_recv", "counter", "EV of accepted tickets, gwei.", none, now.received.value / GWEI),
        ("livepeer_tickets_recv", "counter", "Accepted tickets.", none, now.received.count),
        ("livepeer_winning_tickets_recv", "counter", "Winning tickets.", none, now.won.count),
        ("livepeer_value_redeemed", "counter", "Face value redeemed, gwei.", none, now.redeemed.value / GWEI),
        ("livefleet_tickets_pending", "gauge", "Winners not redeemed yet.", none, now.pending.count),
        ("livefleet_tickets_pending_wei", "gauge", "Their face value.", none, now.pending.value),
        ("livefleet_tickets_lost", "counter", "Winners that can never be redeemed.", none, now.lost.count),
        ("livefleet_tickets_lost_wei", "counter", "Their face value.", none, now.lost.value),
        ("livefleet_redemptions_paid_wei", "counter", "What redemptions really paid.", none, now.paid),
        ("livefleet_balances", "gauge", "Senders' sessions with a balance.", none, now.balances),
    ]
    readings += [
        ("livepeer_payment_recv_errors", "counter", "Refused payments.", {"error_code": code}, count)
        for code, count in sorted(now.refused.items())
    ]
    return [(name, kind, text, labels, float(value)) for name, kind, text, labels, value in readings]


def _whole(value: Fraction) -> int:
    """Whole wei, rounded down: exact fractions are the ledger's business."""
    return math.floor(value)


def _price(value: Fraction) -> int | str:
    """Whole prices as numbers, others as `numerator/denominator`."""
    return int(value) if value.denominator == 1 else str(value)
