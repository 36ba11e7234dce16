"""go-livepeer's metrics by its own names, so that its dashboards go on working. health/README.md tells of each.

Money is in gwei, as there. `per_stream` adds the labels `manifest_id` and `sender`.
Source: go-livepeer monitor/census.go.
"""

import platform
import sys
from collections.abc import Iterable, Mapping

from livefleet.ai import AdvertisedModel
from livefleet.chain import ChainHead
from livefleet.health import Reading
from livefleet.kernel import Histogram, Histograms, Tally
from livefleet.payments import PaymentCounters, PaymentsSnapshot, Redeemer, TicketCount
from livefleet.spec import NodeSpec, RedemptionDuty, Role
from livefleet.wire import WIRE_VERSION
from livefleet.wire.server import Counters, ServerSnapshot
from livefleet.wire.work_stats import AiStats, SegmentStats

__all__ = [
    "GWEI",
    "ai_readings",
    "gas_readings",
    "model_readings",
    "owner_labels",
    "payment_readings",
    "received_readings",
    "redemption_readings",
    "reward_readings",
    "server_readings",
    "transcoded_readings",
    "uploaded_readings",
    "version_reading",
    "worker_readings",
]

GWEI = 10**9

_NODE_TYPES: Mapping[str, str] = {"orchestrator": "orch", "worker": "trcr", "redeemer": "rdmr"}


def owner_labels(spec: NodeSpec, hostname: str) -> dict[str, str]:
    """Who the node is: the declared address of its key, where one is declared, and the host's own name. Pure."""
    name = None if spec.orchestrator is None else spec.orchestrator.key
    key = None if name is None else spec.keys.get(name)
    address = "" if key is None or key.address is None else key.address
    return {"node_id": f"{address}-{hostname}" if address else hostname, "node_type": _node_type(spec)}


def version_reading(spec: NodeSpec) -> Reading:
    """The build: `livepeerversion` is the go-livepeer version that peers are told."""
    labels = {
        "node_type": _node_type(spec),
        "compiler": platform.python_implementation().lower(),
        "goos": sys.platform,
        "goversion": f"python{platform.python_version()}",
        "livepeerversion": WIRE_VERSION,
    }
    return ("livepeer_versions", "gauge", "Versions that the node is made of.", labels, 1)


def server_readings(now: ServerSnapshot, counters: Counters, *, per_stream: bool) -> list[Reading]:
    """Sessions, joined workers, prices told, webhook."""
    return [
        *_session_readings(now.sessions, now.max_sessions),
        *_transcoder_readings(
            number=len(now.workers),
            capacity=sum(w.capacity for w in now.workers),
            load=sum(w.sessions for w in now.workers),
        ),
        (
            "livepeer_auth_webhook_time_milliseconds",
            "histogram",
            "Time that the authentication webhook took.",
            {},
            counters.auth_webhook_ms,
        ),
        *_price_readings(counters, per_stream=per_stream),
    ]


def worker_readings(*, sessions: int, max_sessions: int) -> list[Reading]:
    """What a worker tells of itself, with the zeros that every node of the reference begins with."""
    return [
        *_session_readings(sessions, max_sessions),
        *_transcoder_readings(number=0, capacity=0, load=0),
        _counter("winning_tickets_recv", "Winning tickets.", {}, 0),
        _counter("value_redeemed", "Face value redeemed, gwei.", {}, 0),
    ]


def received_readings(stats: SegmentStats, *, per_stream: bool) -> list[Reading]:
    """Segments as they come in, and what was charged for them."""
    readings = [
        _counter("segment_source_emerged_unprocessed_total", "Segments received.", labels, value)
        for labels, value in _by_stream(stats.taken, per_stream=per_stream)
    ]
    readings += [
        _counter("mil_pixels_processed", "Million pixels charged.", labels, value / 1e6)
        for labels, value in _by_stream(stats.pixels, per_stream=per_stream)
    ]
    readings += [
        _histogram("source_segment_duration_seconds", "Duration of source segments.", labels, histogram)
        for labels, histogram in _histograms_by_stream(stats.durations_s, per_stream=per_stream)
    ]
    for labels, histogram in _histograms_by_stream(stats.downloads_s, per_stream=per_stream):
        text = "Bodies read: segments, and results of workers."
        readings += [
            _counter("segment_transcoded_downloaded_total", text, labels, histogram.count),
            _histogram("download_time_seconds", "Time to read a body.", labels, histogram),
        ]
    return readings


def transcoded_readings(stats: SegmentStats) -> list[Reading]:
    """What devices of this machine did, and how long they took."""
    readings: list[Reading] = []
    for names, histogram in stats.transcodes_s.items():
        ladder = _ladder(names)
        readings += [
            _counter("segment_transcoded_total", "Segments transcoded by devices here.", ladder, histogram.count),
            _histogram("transcode_time_seconds", "Time to transcode a segment.", ladder, histogram),
        ]
    readings += [
        _histogram("transcode_score", "A segment's duration over that time.", _ladder(names), histogram)
        for names, histogram in stats.scores.items()
    ]
    return readings


def uploaded_readings(stats: SegmentStats, *, per_stream: bool) -> list[Reading]:
    """Results sent to somebody's orchestrator."""
    text = "Results sent to orchestrators."
    if per_stream:
        counts = [({"orchestrator_uri": uri, **_stream((stream,))}, n) for (uri, stream), n in stats.uploads.items()]
    else:
        counts = [({"orchestrator_uri": uri}, count) for uri, count in stats.uploads.by(0).items()]
    readings = [_counter("segment_source_uploaded_total", text, labels, count) for labels, count in counts]
    readings += [
        _histogram("upload_time_seconds", "Time to send a result.", {"orchestrator_uri": uri}, histogram)
        for (uri,), histogram in stats.uploads_s.items()
    ]
    return readings


def payment_readings(now: PaymentsSnapshot, counters: PaymentCounters | None, *, per_stream: bool) -> list[Reading]:
    """Tickets as they come in. Told apart by sender they count since the start, else since the store was made.

    `counters` None: off-chain.
    """
    counted = counters or PaymentCounters()
    told = _payments_by_sender(counted) if per_stream else _payments(now, counted)
    for name, text, last in (
        ("gateway_max_float", "What the gateway is good for, gwei.", counted.max_floats),
        ("gateway_ticket_face_value", "Face value asked of it, gwei.", counted.face_values),
    ):
        told += [_gauge(name, text, {"sender": sender}, value / GWEI) for (sender,), value in last.items()]
    return told


def _payments(now: PaymentsSnapshot, counted: PaymentCounters) -> list[Reading]:
    return [
        _counter("ticket_value_recv", _VALUE, {}, float(now.received.value / GWEI)),
        _counter("tickets_recv", _TICKETS, {}, now.received.count),
        _counter("winning_tickets_recv", _WINNERS, {}, now.won.count),
        *(
            _counter("payment_recv_errors", _ERRORS, {"error_code": code}, count)
            for code, count in counted.errors.by(0).items()
        ),
    ]


def _payments_by_sender(counted: PaymentCounters) -> list[Reading]:
    readings: list[Reading] = []
    for name, text, tally, unit in (
        ("ticket_value_recv", _VALUE, counted.ticket_value, GWEI),
        ("tickets_recv", _TICKETS, counted.tickets, 1),
        ("winning_tickets_recv", _WINNERS, counted.winners, 1),
    ):
        readings += [
            _counter(name, text, {"manifest_id": "", "sender": sender}, value / unit)
            for (sender,), value in tally.items() or [(("",), 0.0)]
        ]
    return readings + [
        _counter("payment_recv_errors", _ERRORS, {"error_code": code, "manifest_id": "", "sender": sender}, count)
        for (code, sender), count in counted.errors.items()
    ]


def gas_readings(head: ChainHead, duty: RedemptionDuty | None) -> list[Reading]:
    """Gas prices."""
    readings = [
        _gauge("suggested_gas_price", "Gas price of the chain, gwei.", {}, head.gas_price / GWEI),
        _gauge("min_gas_price", "Lowest gas price paid, gwei.", {}, 0),
    ]
    if duty is not None and duty.max_gas_price:
        readings.append(_gauge("max_gas_price", "Highest gas price paid, gwei.", {}, duty.max_gas_price / GWEI))
    return readings


def redemption_readings(redeemed: TicketCount, redeemer: Redeemer | None, *, per_stream: bool) -> list[Reading]:
    """Winners turned into ETH. Told apart by sender they count since the start, else since the store was made."""
    readings: list[Reading] = []
    if redeemer is not None:
        text = "Redemptions that the chain refused or that could not be sent."
        readings.append(_counter("ticket_redemption_errors", text, {}, redeemer.errors.total))
        if per_stream:
            return readings + [
                _counter("value_redeemed", _REDEEMED, {"sender": sender}, value / GWEI)
                for (sender,), value in redeemer.redeemed_value.items() or [(("",), 0.0)]
            ]
    labels = {"sender": ""} if per_stream else {}
    return [*readings, _counter("value_redeemed", _REDEEMED, labels, float(redeemed.value / GWEI))]


def reward_readings(failures: int) -> list[Reading]:
    """Reward calls."""
    return [_counter("reward_call_errors", "Reward calls that failed.", {}, failures)]


def ai_readings(stats: AiStats) -> list[Reading]:
    """AI jobs, and their results between orchestrator and worker."""
    readings = [
        _counter("ai_models_requested", "AI jobs done.", _model(labels), count) for labels, count in stats.done.items()
    ]
    readings += [
        _gauge("ai_request_latency_score", "Seconds for each output unit and step.", _model(labels), value)
        for labels, value in stats.latency_scores.items()
    ]
    readings += [
        _gauge("ai_request_price", "Wei for each unit, as the gateway expected.", _model(labels), value)
        for labels, value in stats.prices.items()
    ]
    readings += [
        _counter(
            "ai_request_errors", "AI jobs that failed.", {"error_code": code, **_model(model), "sender": sender}, count
        )
        for (code, *model, sender), count in stats.errors.items()
    ]
    for labels, histogram in stats.downloads_s.items():
        readings += [
            _counter("ai_result_downloaded_total", "Results read from workers.", _model(labels), histogram.count),
            _histogram("ai_result_download_time_seconds", "Time to read a result.", _model(labels), histogram),
        ]
    for (uri, *model), histogram in stats.uploads_s.items():
        where = {"orchestrator_uri": uri, **_model(model)}
        readings += [
            _counter("ai_result_uploaded_total", "Results sent to orchestrators.", where, histogram.count),
            _histogram("ai_result_upload_time_seconds", "Time to send a result.", where, histogram),
        ]
    readings += [
        _counter("ai_result_save_failed_total", "Results not kept.", {"error_code": code, **_model(model)}, count)
        for (code, *model), count in stats.save_failures.items()
    ]
    return readings


def model_readings(models: Iterable[AdvertisedModel], idle_gpus: int) -> list[Reading]:
    """Runners' places by model; `idle_gpus`: devices that no model was placed on."""
    readings: list[Reading] = []
    for model in models:
        labels = _model((model.pipeline, model.model_id))
        placed = labels | {"orchestrator_uri": ""}
        idle = model.capacity - model.capacity_in_use
        readings += [
            _gauge("ai_container_in_use", "Runners' places in use.", placed, model.capacity_in_use),
            _gauge("ai_container_idle", "Runners' places free.", placed, idle),
            _gauge("ai_gpus_idle", "GPUs without a model.", labels, idle_gpus),
        ]
    return readings


_VALUE = "Expected value of accepted tickets, gwei."
_TICKETS = "Accepted tickets."
_WINNERS = "Winning tickets."
_ERRORS = "Refused payments."
_REDEEMED = "Face value redeemed, gwei."


def _node_type(spec: NodeSpec) -> str:
    if spec.role is Role.WORKER and spec.duties.transcoding is None and spec.duties.ai is not None:
        return "aiwk"
    return _NODE_TYPES.get(spec.role.value, "dflt")


def _session_readings(sessions: int, max_sessions: int) -> list[Reading]:
    return [
        _gauge("current_sessions_total", "Open transcoding sessions.", {}, sessions),
        _gauge("max_sessions_total", "Session limit.", {}, max_sessions),
    ]


def _transcoder_readings(*, number: int, capacity: int, load: int) -> list[Reading]:
    return [
        _gauge("transcoders_number", "Joined workers.", {}, number),
        _gauge("transcoders_capacity", "Sessions that joined workers offer.", {}, capacity),
        _gauge("transcoders_load", "Sessions on joined workers.", {}, load),
    ]


def _price_readings(counters: Counters, *, per_stream: bool) -> list[Reading]:
    text = "Wei per pixel, as last told without capabilities."
    given = counters.prices_given
    if given.last is None:
        return []
    if not per_stream:
        return [_gauge("transcoding_price", text, {}, given.last)]
    by_sender = [_gauge("transcoding_price", text, {"sender": sender}, value) for (sender,), value in given.items()]
    return [*by_sender, _gauge("transcoding_price", text, {"sender": ""}, given.last)]


def _by_stream(tally: Tally, *, per_stream: bool) -> list[tuple[dict[str, str], float]]:
    return [(_stream(labels), value) for labels, value in tally.items()] if per_stream else [({}, tally.total)]


def _histograms_by_stream(kept: Histograms, *, per_stream: bool) -> list[tuple[dict[str, str], Histogram]]:
    return [(_stream(labels), one) for labels, one in kept.items()] if per_stream else [({}, kept.whole)]


def _stream(labels: tuple[str, ...]) -> dict[str, str]:
    return {"manifest_id": labels[0]} if labels else {}


def _ladder(labels: tuple[str, ...]) -> dict[str, str]:
    return {"profiles": labels[0], "trusted": "trusted", "verified": "verified"}


def _model(labels: Iterable[str]) -> dict[str, str]:
    return dict(zip(("pipeline", "model_name"), labels, strict=True))


def _counter(name: str, text: str, labels: dict[str, str], value: float) -> Reading:
    return (f"livepeer_{name}", "counter", text, labels, value)


def _gauge(name: str, text: str, labels: dict[str, str], value: float) -> Reading:
    return (f"livepeer_{name}", "gauge", text, labels, value)


def _histogram(name: str, text: str, labels: dict[str, str], value: Histogram) -> Reading:
    return (f"livepeer_{name}", "histogram", text, labels, value)
