"""Services' snapshots as JSON for /status."""

import math
from dataclasses import asdict
from fractions import Fraction
from typing import Any

from livefleet.media import LocalTranscoder
from livefleet.payments import PaymentsSnapshot
from livefleet.reconcile.resources import SmokeObserved, is_proven
from livefleet.wire.server import ServerSnapshot

__all__ = ["load_part", "payments_part", "server_part", "smoke_part"]


def server_part(now: ServerSnapshot) -> dict[str, Any]:
    """The front door and what went through it."""
    recent = now.last_durations_s
    return {
        "sessions": now.sessions,
        "max_sessions": now.max_sessions,
        "local_sessions": now.local_sessions,
        "workers": [{name: getattr(w, name) for name in w.__dataclass_fields__} for w in now.workers],
        "ai_workers": [{name: getattr(w, name) for name in w.__dataclass_fields__} for w in now.ai_workers],
        "segments_ok": now.segments_ok,
        "segments_failed": now.segments_failed,
        "pixels": now.pixels,
        "requests_refused": now.requests_refused,
        "images_ok": now.images_ok,
        "images_failed": now.images_failed,
        "last_segment_s": round(recent[-1], 3) if recent else None,
        "files_uploaded": now.files_uploaded,
        "files_not_uploaded": now.files_not_uploaded,
        "suspensions": [asdict(suspension) for suspension in now.suspensions],
        "front_door_restarts": now.front_door_restarts,
        "certificate_days_left": None if now.certificate_days is None else round(now.certificate_days, 1),
    }


def load_part(transcoder: LocalTranscoder) -> dict[str, Any]:
    """What the open sessions cost this machine; a new one is taken as long as nothing here is used up."""
    load = transcoder.load
    return {
        "cores": load.cores,
        "cores_for_sessions": round(load.cpu_allowed, 2),
        "cores_used_by_sessions": round(load.cpu_used, 2),
        "cores_used_by_others": round(load.cpu_of_others, 2),
        "limit": load.max_load,
        "has_room": transcoder.has_room(),
        "devices": [
            {
                "device": device.id,
                "sessions": device.sessions,
                "places": device.places,
                "places_used": round(device.used, 2),
                "segments_in_work": transcoder.device_jobs[device.id],
                "emptied": device.id in transcoder.emptying,
            }
            for device in load.devices
        ],
        "segments_retried": transcoder.retries,
        "segments_suspected": transcoder.suspected_segments,
    }


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
        "balances": now.balances,
        "credit_wei": _whole(now.credit),
        "store_fault": now.store_fault,
    }


def _whole(value: Fraction) -> int:
    """Whole wei, rounded down: exact fractions are the ledger's business."""
    return math.floor(value)


def _price(value: Fraction) -> int | str:
    """Whole prices as numbers, others as `numerator/denominator`."""
    return int(value) if value.denominator == 1 else str(value)


def smoke_part(seen: SmokeObserved) -> dict[str, Any]:
    """Whose paid jobs prove the node, what they have to be done by, and whether they were."""
    return {
        "account": seen.account,
        "release": seen.release,
        "driver": seen.driver,
        "passed": is_proven(seen),
        "last": None if seen.proof is None else seen.proof.model_dump(mode="json"),
    }
