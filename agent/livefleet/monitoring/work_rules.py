"""Alerts about the work itself: failing, full, absent, or not reached by those who would bring it."""

from typing import Final

from livefleet.monitoring.alert import AlertRule, Look, Severity, Topic
from livefleet.monitoring.promql import condition_of, span
from livefleet.spec.alerts import AlertSettings

__all__ = ["work_rules"]

_BY: Final = "by (fleet, node, role)"
_STATUS: Final = Look("livefleet status HOST", "every condition, with its reason and what to do")
_LOGS: Final = Look("livefleet logs HOST --since 30m", "each failure with its reason")
_WHY: Final = Look("livefleet why HOST", "the node as a gateway sees it: way, answer, price, tickets, standing")
_FULL: Final = "OrchestratorCapped|OrchestratorBusy|insufficient capacity"


def work_rules(settings: AlertSettings) -> tuple[AlertRule, ...]:
    """For orchestrators and workers."""
    window = span(settings.fail_window)
    return (
        AlertRule(
            "FrontDoorClosed", Topic.WORK, Severity.CRITICAL,
            f"livefleet_front_door_open == 0 or on (node) {condition_of('FrontDoorOpen')}", 60,
            summary="the port for gateways of {{ $labels.node }} does not answer",
            means="Gateways reach nobody: no work comes in.",
            advice="Read why nginx ended in the agent's log; see whether another program has the port",
            look=(_STATUS, _LOGS, Look("livefleet exec HOST -- ss -ltnp", "who listens on the port")),
            clears="when the port answers",
            conditions=("FrontDoorOpen",),
            held_by=("RpcLost", "SignerLost"),
        ),
        AlertRule(
            "ServiceUnreachable", Topic.WORK, Severity.WARNING, condition_of("ServiceReachable"), 900,
            summary="{{ $labels.node }} does not reach itself at its service URI",
            means="What gateways are told on chain leads nowhere, or to somebody else.",
            advice="Check DNS, firewall and port forwarding for the service URI",
            look=(_WHY,),
            clears="when the node answers itself with its own key",
            conditions=("ServiceReachable",),
            held_by=("FrontDoorClosed",),
        ),
        AlertRule(
            "CertificateEnding", Topic.WORK, Severity.WARNING,
            f"livefleet_certificate_remaining_seconds < {settings.certificate_days * 86_400:g}", 600,
            summary="the certificate of {{ $labels.node }} ends in {{ $value | humanizeDuration }}",
            means="Nobody has renewed the certificate that the front door shows.",
            advice="Renew it where it comes from; the node takes a newer file over by itself",
            look=(Look("livefleet status HOST", "from which file it is, and when it ends"),),
            clears=f"when it lasts {settings.certificate_days:g} days again",
            held_by=("CertificateInvalid",),
        ),
        AlertRule(
            "CertificateInvalid", Topic.WORK, Severity.CRITICAL,
            condition_of("CertificateValid", 'reason!="EndsSoon"'), 60,
            summary="the certificate of {{ $labels.node }} is not valid",
            means="The certificate has ended, has not begun, or its file cannot be used.",
            advice="Put a valid certificate and its key where the fleet file says; check the host's clock",
            look=(Look("livefleet status HOST", "what is wrong with which file"),),
            clears="when a valid one is shown",
            conditions=("CertificateValid",),
        ),
        AlertRule(
            "WorkerApart", Topic.WORK, Severity.CRITICAL,
            condition_of("JoinedOrchestrator", 'reason!="Drained"'), 180,
            summary="the worker {{ $labels.node }} is not joined to its orchestrator",
            means="The worker gets no jobs: the orchestrator is away or refuses the secret, or the network is cut.",
            advice="See whether the orchestrator runs and both have the same secret",
            look=(_STATUS, Look("livefleet status", "orchestrator and worker side by side")),
            clears="when the worker is joined",
            conditions=("JoinedOrchestrator",),
        ),
        AlertRule(
            "TranscoderDown", Topic.WORK, Severity.CRITICAL, condition_of("TranscoderReady"), 120,
            summary="{{ $labels.subject }} of {{ $labels.node }} transcodes nothing",
            means="The worker process of a device does not come up or does not come through its proof.",
            advice="Read the condition's message; drain the host and reboot it where the device hangs",
            look=(_STATUS, _LOGS),
            clears="when a segment of the node's own comes through",
            conditions=("TranscoderReady",),
            held_by=("GpuFault", "DriverTrouble"),
        ),
        AlertRule(
            "ModelDown", Topic.WORK, Severity.WARNING,
            " or ".join(condition_of(name) for name in ("ModelWarm", "ModelPlaced")), 600,
            summary="{{ $labels.subject }} of {{ $labels.node }} is not offered",
            means="A declared model is not loaded ({{ $labels.condition }}): no room, no files, or its process died.",
            advice="Read the condition's message: it says what is lacking",
            look=(_STATUS, _LOGS),
            clears="when the model answers",
            conditions=("ModelWarm", "ModelPlaced"),
            held_by=("GpuFault", "DriverTrouble"),
        ),
        AlertRule(
            "SegmentsFail", Topic.WORK, Severity.CRITICAL,
            _share("livefleet_segments_failed_total", "livefleet_segments_done_total", settings.fail_rate, settings),
            120,
            summary="{{ $value | humanizePercentage }} of the segments of {{ $labels.node }} fail",
            means=f"More than {settings.fail_rate:.0%} of the segments in {window} were answered with an error. "
            "Gateways go elsewhere after few failures, and stay away.",
            advice="Read the failures' reasons; drain the device that they name",
            look=(_LOGS, _WHY, Look("livefleet drain --host HOST --device DEVICE", "takes one device out of service")),
            clears="when the share is below the limit again",
        ),
        AlertRule(
            "WorkerSegmentsFail", Topic.WORK, Severity.CRITICAL,
            _share(
                "livefleet_worker_segments_failed_total", "livefleet_worker_segments_done_total", settings.fail_rate,
                settings,
            ),
            120,
            summary="{{ $value | humanizePercentage }} of the segments of the worker {{ $labels.node }} fail",
            means=f"More than {settings.fail_rate:.0%} of the worker's segments in {window} were not delivered; "
            "the orchestrator gives them to others.",
            advice="Read the failures' reasons; drain the device that they name",
            look=(_LOGS,),
            clears="when the share is below the limit again",
        ),
        AlertRule(
            "AiRequestsFail", Topic.WORK, Severity.CRITICAL,
            _share(
                "livefleet_images_failed_total", "livefleet_ai_requests_done_total", settings.ai_fail_rate, settings
            ),
            120,
            summary="{{ $value | humanizePercentage }} of the AI requests of {{ $labels.node }} fail",
            means=f"More than {settings.ai_fail_rate:.0%} of the AI requests of the last {window} came to nothing.",
            advice="Read the failures' reasons; see whether memory or a model's process is at fault",
            look=(_LOGS, Look("livepeer_ai_request_errors", "the failures by pipeline, model and code")),
            clears="when the share is below the limit again",
        ),
        AlertRule(
            "CapacityFull", Topic.WORK, Severity.WARNING,
            f"livepeer_current_sessions_total / livepeer_max_sessions_total >= {settings.capacity:g}", 900,
            summary="{{ $labels.node }} uses {{ $value | humanizePercentage }} of its session limit",
            means="New streams are about to be refused, or are already.",
            advice="Add devices or workers, or raise the session limit where the benchmark says that there is room",
            look=(Look("livefleet status HOST", "sessions, limit, and load of each device"),),
            clears=f"below {settings.capacity:.0%}",
        ),
        AlertRule(
            "WorkTurnedAway", Topic.WORK, Severity.WARNING,
            f'sum {_BY} (increase(livefleet_requests_refused_total{{reason=~"{_FULL}"}}[{window}])) '
            f">= {settings.fail_count:g}",
            300,
            summary='{{ $labels.node }} turned {{ $value | printf "%.0f" }} requests away in ' + window,
            means="Requests find no place on the node: what they would have paid is lost.",
            advice="Add devices or workers; see what limits first: cores, places, sessions or memory",
            look=(Look("livefleet status HOST", "what is used up"),),
            clears=f"{window} after the last of them",
        ),
        _no_work(settings),
    )  # fmt: skip


def _share(failed: str, done: str, limit: float, settings: AlertSettings) -> str:
    window = span(settings.fail_window)
    failures, successes = (f"sum {_BY} (increase({name}[{window}]))" for name in (failed, done))
    return f"{failures} / ({failures} + {successes}) > {limit:g} and {failures} >= {settings.fail_count:g}"


def _no_work(settings: AlertSettings) -> AlertRule:
    window = span(settings.no_work)
    return AlertRule(
        "NoWork", Topic.WORK, Severity.WARNING,
        f"increase(livefleet_segments_done_total[{window}]) + increase(livefleet_ai_requests_done_total[{window}]) "
        f"== 0 and avg_over_time(livefleet_node_ready[{window}]) > 0.9 and livefleet_node_ready offset {window} "
        "unless on (node) livefleet_drain_state > 0",
        0,
        summary="{{ $labels.node }} is healthy and has done nothing for " + window,
        means="Gateways choose others: by price, by a failure that they remember, or since they do not reach the node.",
        advice="Look at the node as a gateway does, and compare its price with others'",
        look=(
            _WHY,
            Look("livefleet price explain HOST", "how the quoted price comes about"),
            Look("livefleet smoke HOST", "pays for a small job, as any gateway would"),
        ),
        clears="with the first segment or AI result",
        held_by=("FrontDoorClosed", "ServiceUnreachable"),
    )  # fmt: skip
