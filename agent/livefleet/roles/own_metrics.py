"""Our own metrics: what operators need to see and go-livepeer's do not tell. health/README.md tells of each.

Names are `livefleet_<noun>_<unit>_<total>`; money is in wei. State is read here at scrape, events were counted before.
"""

from collections.abc import Iterable
from typing import Final

from livefleet.chain import GasBalance
from livefleet.health import Reading
from livefleet.kernel import Histogram, Wei
from livefleet.media import LocalTranscoder
from livefleet.payments import PaymentsSnapshot, Rate, StoreHealth, TicketCount, TicketState, Totals
from livefleet.reconcile.resources import RewardResource
from livefleet.wire.redeemer import RedeemerServer
from livefleet.wire.server import Counters, SecretAge, ServerSnapshot
from livefleet.wire.worker import AiWorkerSnapshot, WorkerSnapshot

__all__ = [
    "own_ai_worker_readings",
    "own_device_readings",
    "own_gas_readings",
    "own_payment_readings",
    "own_price_readings",
    "own_redeemer_readings",
    "own_reward_readings",
    "own_server_readings",
    "own_store_readings",
    "own_worker_readings",
]


_DAY_S: Final = 86_400

_TURNED_AWAY: Final = (("discovery", "OrchestratorCapped"), ("segment", "OrchestratorCapped"))
"""There before the first, so that a monitor sees the first ones as an increase."""


def own_server_readings(now: ServerSnapshot, counters: Counters) -> list[Reading]:
    """The front door, and what came of the work that knocked."""
    on_workers = sum(worker.sessions for worker in now.workers)
    shown = [*(worker.secret for worker in now.workers), *(worker.secret for worker in now.ai_workers)]
    refused = dict.fromkeys(_TURNED_AWAY, 0.0) | dict(counters.refused.items())
    left = [] if now.certificate_days is None else [now.certificate_days * _DAY_S]
    return [
        *(_gauge("certificate_remaining_seconds", "Until the front door's certificate ends.", each) for each in left),
        _gauge("workers_on_former_secret", "Workers that show the secret before.", shown.count(SecretAge.FORMER)),
        _gauge("front_door_open", "1 while the port answers.", float(now.front_door_open)),
        _counter("front_door_restarts", "Times that nginx ended by itself.", now.front_door_restarts),
        _gauge("sessions", "Open sessions by who works for them.", now.local_sessions, where="local"),
        _gauge("sessions", "Open sessions by who works for them.", on_workers, where="workers"),
        _counter("segments_done", "Segments transcoded and charged.", now.segments_ok),
        _counter("segments_failed", "Segments answered with an error.", now.segments_failed),
        _counter("segments_reassigned", "Segments sent to another worker after theirs was lost.", now.worker_retries),
        _counter("files_uploaded", "Results that an object store took.", now.files_uploaded),
        _counter("files_not_uploaded", "Results kept in memory, as a store did not take them.", now.files_not_uploaded),
        _counter("ai_requests_done", "AI requests answered, of any pipeline.", counters.ai.done.total),
        _counter("images_done", "Images made.", now.images_ok),
        _counter("images_failed", "AI requests of any pipeline that came to nothing.", now.images_failed),
        *(
            _counter("requests_refused", "Requests not taken.", count, request=request, reason=reason)
            for (request, reason), count in refused.items()
        ),
    ]


def own_device_readings(transcoder: LocalTranscoder) -> list[Reading]:
    """What the open sessions cost this machine, against what they may cost; admission decides by these."""
    load = transcoder.load
    readings = [
        _gauge("cores", "Cores that the node may use.", load.cores),
        _gauge("cores_others_used", "Cores that other programs use.", load.cpu_of_others),
        _gauge("cores_sessions_used", "Cores that the open sessions use on average.", load.cpu_used),
        _gauge("cores_sessions_limit", "Cores that they may use before more are refused.", load.cpu_allowed),
        _gauge("load_limit_ratio", "Share of cores and places that sessions may take.", load.max_load),
        _counter("segments_retried", "Segments tried again after a worker process was lost.", transcoder.retries),
        _gauge(
            "segments_suspected",
            "Segments remembered for taking worker processes down.",
            transcoder.suspected_segments,
        ),
    ]
    for device in load.devices:
        readings += [
            _gauge("device_sessions", "Sessions on the device.", device.sessions, device=device.id),
            _gauge("device_places", "Segments that the device does at once.", device.places, device=device.id),
            _gauge("device_places_used", "Places in use on average.", device.used, device=device.id),
            _gauge("device_segments", "Segments in work.", transcoder.device_jobs[device.id], device=device.id),
            _counter(
                "device_proofs_failed",
                "Worker processes ended because a sample did not come through.",
                transcoder.failed_proofs[device.id],
                device=device.id,
            ),
        ]
    return readings


def own_payment_readings(now: PaymentsSnapshot) -> list[Reading]:
    """Winners by what became of them, balances, refusals, the price."""
    states: tuple[tuple[str, TicketCount], ...] = (
        ("pending", now.pending),
        ("redeemed", now.redeemed),
        ("lost", now.lost),
    )
    return [
        *(_gauge("winning_tickets", "Winners by state.", found.count, state=state) for state, found in states),
        *(
            _gauge("winning_tickets_wei", "Their face value.", float(found.value), state=state)
            for state, found in states
        ),
        _counter("redemptions_paid_wei", "What redemptions really paid.", now.paid),
        _gauge("balances", "Senders' sessions with a balance.", now.balances),
        _gauge("balances_wei", "Credit that senders have left.", float(now.credit)),
        _gauge("price_wei_per_pixel", "Price for gateways without one of their own.", float(now.price)),
        *(
            _counter("payments_refused", "Payments not or not wholly taken.", count, reason=reason)
            for reason, count in sorted(now.refused.items())
        ),
    ]


def own_store_readings(store: StoreHealth) -> list[Reading]:
    """Whether and how fast payments reach the disk."""
    return [
        _histogram("store_commit_seconds", "Time to write a batch of payments to the disk.", store.commits_s),
        _gauge("store_writes_waiting", "Writes that wait for the next commit.", store.waiting),
        _gauge("store_fault", "1 after a commit that failed.", float(bool(store.fault))),
    ]


def own_price_readings(gas_price: Wei, rate: Rate | None, now: float) -> list[Reading]:
    """What quotes reckon with."""
    readings = [_gauge("gas_price_quoted_wei", "Gas price that quotes reckon with.", gas_price)]
    if rate is not None:
        readings += [
            _gauge("price_rate_age_seconds", "Age of the rate in use.", rate.age_s(now)),
            _gauge("price_rate_usd_per_eth", "The rate in use.", float(rate.usd_per_eth)),
        ]
    return readings


def own_reward_readings(reward: RewardResource) -> list[Reading]:
    """Reward calls, and what the chain says of the round's."""
    readings = [_counter("reward_calls", "Reward calls that were mined.", reward.calls)]
    if reward.observed is not None and reward.planned is not None:
        readings += [
            _gauge("reward_owed", "1 while the round's reward is not called.", reward.observed.is_owed),
            _gauge("reward_round_left_seconds", "Until the round ends.", reward.planned.stage.left_s),
            _gauge("reward_last_round_number", "Last round with a reward.", reward.observed.last_reward_round),
            _gauge("reward_rounds_missed", "Of the last 30, without a reward.", len(reward.observed.missed or ())),
        ]
    return readings


def own_gas_readings(balances: Iterable[GasBalance], proposals: int) -> list[Reading]:
    """What the node's keys hold and how long it lasts, and what waits for keys that it does not have."""
    readings = [_gauge("proposals_open", "Proposals that wait for a signature.", proposals)]
    for gas in balances:
        lasts_s = float("inf") if gas.runway_s is None else gas.runway_s
        readings += [
            _gauge("key_balance_wei", "What the key holds.", float(gas.balance), key=gas.name),
            _gauge("gas_runway_seconds", "How long that lasts at the last week's spending.", lasts_s, key=gas.name),
        ]
    return readings


def own_redeemer_readings(totals: Totals, server: RedeemerServer) -> list[Reading]:
    """A shared redeemer's tickets."""
    states = {state: totals.of(state) for state in TicketState}
    return [
        *(_gauge("winning_tickets", "Winners by state.", n.count, state=s.value) for s, n in states.items()),
        *(_gauge("winning_tickets_wei", "Their face value.", float(n.value), state=s.value) for s, n in states.items()),
        _counter("redemptions_paid_wei", "What redemptions really paid.", totals.paid),
        _counter("redeemer_tickets_queued", "Tickets taken from orchestrators.", server.queued),
        _counter("redeemer_tickets_refused", "Tickets not taken.", server.refused),
        _gauge("redeemer_floats_followed", "Senders' floats that orchestrators follow.", server.monitors),
    ]


def own_worker_readings(now: WorkerSnapshot, fetches_s: Histogram) -> list[Reading]:
    """A worker's side of the split."""
    return [
        _gauge("worker_joined", "1 while joined to the orchestrator.", float(now.joined)),
        _gauge("worker_jobs", "Jobs under way.", now.jobs),
        _counter("worker_segments_done", "Segments delivered.", now.done),
        _counter("worker_segments_failed", "Segments not delivered.", now.failed),
        _counter("worker_pixels_encoded", "Pixels encoded.", now.pixels),
        _histogram("source_fetch_seconds", "Time to fetch a source from its URL.", fetches_s),
    ]


def own_ai_worker_readings(now: AiWorkerSnapshot) -> list[Reading]:
    """The same for AI jobs."""
    return [
        _gauge("ai_worker_joined", "1 while joined to the orchestrator with models.", float(now.joined)),
        _gauge("ai_worker_jobs", "AI jobs under way.", now.jobs),
        _counter("ai_worker_jobs_done", "AI jobs delivered.", now.done),
        _counter("ai_worker_jobs_failed", "AI jobs not delivered, or done in vain.", now.failed),
    ]


def _counter(name: str, text: str, value: float, **labels: str) -> Reading:
    return (f"livefleet_{name}_total", "counter", text, labels, value)


def _gauge(name: str, text: str, value: float, **labels: str) -> Reading:
    return (f"livefleet_{name}", "gauge", text, labels, value)


def _histogram(name: str, text: str, value: Histogram) -> Reading:
    return (f"livefleet_{name}", "histogram", text, {}, value)
