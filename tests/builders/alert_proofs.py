"""A case for each alert: what its series are like while all is well and while it is not, and what is said then.

Made into files for promtool, which evaluates the real rules over them minute by minute.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from livefleet.monitoring.alert import AlertRule

WELL_MIN = 10
"""Minutes in which all is well, before something is not."""

NODE = {"fleet": "f", "node": "n1", "role": "orchestrator"}
TARGET = NODE | {"job": "livefleet", "instance": "10.0.0.1:7937"}


@dataclass(frozen=True)
class Per:
    """A counter, by how much it grows in a minute."""

    minute: float


Level = float | Per | Callable[[int], float] | None
"""A gauge's value, a counter's slope, a value by the minute, or no sample."""


@dataclass(frozen=True)
class Proof:
    """One alert that fires and clears. Series by their selector: (while well, while not)."""

    series: Mapping[str, tuple[Level, Level]]
    summary: str | tuple[str, str]  # when it fires, and at the last minute before it clears
    labels: Mapping[str, str] = field(default_factory=dict)  # of the alert, beside severity and topic
    description: str | None = None  # where the rule's own has something filled in
    true_after_min: int = 0  # minutes until the expression is true
    clears_after_min: int = 0  # minutes from the end of the trouble until it is false
    well_min: int = WELL_MIN


def series(name: str, labels: Mapping[str, str] = TARGET, **more: str) -> str:
    """A selector as promtool writes series."""
    inner = ",".join(f'{label}="{value}"' for label, value in (labels | more).items())
    return f"{name}{{{inner}}}"


def condition(name: str, reason: str, subject: str = "") -> dict[str, tuple[Level, Level]]:
    """A condition that turns false, and by that gets another reason."""
    of = {"condition": name, "subject": subject}
    return {
        series("livefleet_condition_status", **of, reason="Well"): (1, None),
        series("livefleet_condition_status", **of, reason=reason): (None, 0),
    }


def about(condition_name: str, subject: str = "") -> dict[str, str]:
    """Labels of an alert about a condition; Prometheus drops empty ones."""
    return NODE | {"condition": condition_name} | ({"subject": subject} if subject else {})


def of_condition(name: str, reason: str, summary: str, subject: str = "", description: str | None = None) -> Proof:
    """The case of a condition that is false."""
    return Proof(condition(name, reason, subject), summary, about(name, subject), description)


GAUGES: dict[str, Proof] = {
    "NodeDown": Proof({series("up"): (1, 0)}, "n1 does not answer", TARGET),
    "NodeSilent": Proof(
        {"livefleet:declared{node='n1',digest='aaaa'}": (1, 1), series("up"): (1, None)},
        "nothing is heard of n1", {"node": "n1"},
    ),
    "NodeNotReady": Proof(
        {series("livefleet_node_ready"): (1, 0), series("livefleet_drain_state"): (0, 0)},
        "n1 runs and is not ready", TARGET,
    ),
    "AgentRestarting": Proof(
        {series("livefleet_node_started_seconds"): (Per(0), Per(60))},
        "the agent of n1 was started anew 3 times in 30m", TARGET, true_after_min=3, clears_after_min=28,
    ),
    "SpecDrift": Proof(
        {
            "livefleet:declared{node='n1',digest='aaaa'}": (1, 1),
            series("livefleet_node_info", digest="aaaa"): (1, None),
            series("livefleet_node_info", digest="bbbb"): (None, 1),
        },
        "n1 runs other settings than the fleet file declares", NODE | {"digest": "bbbb"},
        "The settings that the node runs (digest bbbb) are not those that the fleet file declared when the monitor was "
        "applied last: an apply that missed the host, or an edit on it.",
    ),
    "DiskLow": Proof(
        {series("livefleet_state_disk_free_bytes"): (50, 8), series("livefleet_state_disk_size_bytes"): (100, 100)},
        "n1 has 8% of its state's disk left", TARGET,
    ),
    "DiskFull": Proof(
        {series("livefleet_state_disk_free_bytes"): (8, 2), series("livefleet_state_disk_size_bytes"): (100, 100)},
        "n1 has only 2% of its state's disk left", TARGET,
    ),
    "ClockOff": Proof(
        {series("livefleet_node_time_seconds"): (lambda minute: minute * 60, lambda minute: minute * 60 - 90)},
        "the clock of n1 differs by 1m 30s from the monitor's", TARGET,
    ),
    "ClockUnkept": Proof(
        {series("livefleet_clock_synchronised"): (1, 0)}, "nothing keeps the clock of n1", TARGET,
    ),
    "GpuHot": Proof(
        {series("livefleet_gpu_temperature_celsius", gpu="GPU-1"): (60, 91),
         series("livefleet_gpu_throttled", gpu="GPU-1", reason="hardware_thermal"): (0, 0)},
        "GPU-1 of n1 is too hot", NODE | {"gpu": "GPU-1"},
    ),
    "FrontDoorClosed": Proof(
        {series("livefleet_front_door_open"): (1, 0)}, "the port for gateways of n1 does not answer", TARGET,
    ),
    "CertificateEnding": Proof(
        {series("livefleet_certificate_remaining_seconds"): (6_912_000, 280_800)},
        "the certificate of n1 ends in 3d 6h 0m 0s", TARGET,
    ),
    "CapacityFull": Proof(
        {series("livepeer_current_sessions_total"): (8, 9), series("livepeer_max_sessions_total"): (10, 10)},
        "n1 uses 90% of its session limit", TARGET,
    ),
    "GasLow": Proof(
        {series("livefleet_gas_runway_seconds", key="hot"): (math.inf, 3 * 86400)},
        "the ETH of `hot` on n1 lasts 3d 0h 0m 0s", TARGET | {"key": "hot"},
    ),
    "GasNearlyOut": Proof(
        {series("livefleet_gas_runway_seconds", key="hot"): (2 * 86400, 3600)},
        "the ETH of `hot` on n1 lasts only 1h 0m 0s", TARGET | {"key": "hot"},
    ),
    "TicketsExpiring": Proof(
        {series("livefleet_tickets_expiring_soon"): (0, 2)}, "2 winning ticket(s) of n1 are about to expire", TARGET,
    ),
    "PaymentsNotWritten": Proof(
        {series("livefleet_store_fault"): (0, 1)}, "n1 cannot write payments, and refuses them", TARGET,
    ),
    "RpcLost": Proof(
        {series("livefleet_chain_seen_age_seconds"): (50, 200)}, "n1 does not see the chain", NODE,
    ),
    "RpcEndpointAway": Proof(
        {series("livefleet_rpc_resting", endpoint="a"): (0, 1), series("livefleet_rpc_behind", endpoint="a"): (0, 0)},
        "n1 does without the RPC endpoint a", TARGET | {"endpoint": "a"},
    ),
    "RewardNearDeadline": Proof(
        {
            series("livefleet_reward_owed"): (1, 1), series("livefleet_reward_round_left_seconds"): (11000, 11000),
            series("livefleet_chain_seen_age_seconds"): (10, 300),
        },
        "the reward of n1 is not called, and its round ends soon", TARGET,
    ),
    "Watchdog": Proof({}, "monitoring works"),
}  # fmt: skip
"""Alerts about levels."""

SHARES: dict[str, Proof] = {
    "SegmentsFail": Proof(
        {series("livefleet_segments_failed_total"): (Per(0), Per(10)),
         series("livefleet_segments_done_total"): (Per(90), Per(90))},
        ("7.216% of the segments of n1 fail", "5.263% of the segments of n1 fail"), NODE, true_after_min=5,
        clears_after_min=6,
    ),
    "WorkerSegmentsFail": Proof(
        {series("livefleet_worker_segments_failed_total"): (Per(0), Per(10)),
         series("livefleet_worker_segments_done_total"): (Per(90), Per(90))},
        ("7.216% of the segments of the worker n1 fail", "5.263% of the segments of the worker n1 fail"), NODE,
        true_after_min=5, clears_after_min=6,
    ),
    "AiRequestsFail": Proof(
        {series("livefleet_images_failed_total"): (Per(0), Per(10)),
         series("livefleet_ai_requests_done_total"): (Per(40), Per(40))},
        ("14.89% of the AI requests of n1 fail", "11.11% of the AI requests of n1 fail"), NODE, true_after_min=5,
        clears_after_min=6,
    ),
    "WorkTurnedAway": Proof(
        {series("livefleet_requests_refused_total", request="segment", reason="OrchestratorCapped"): (Per(0), Per(2))},
        ("n1 turned 16 requests away in 10m", "n1 turned 6 requests away in 10m"), NODE, true_after_min=3,
        clears_after_min=8,
    ),
    "PaymentsRefused": Proof(
        {series("livepeer_payment_recv_errors", error_code="PaymentError"): (Per(0), Per(4)),
         series("livepeer_tickets_recv"): (Per(4), Per(4))},
        ("n1 refuses 44.44% of the payments", "n1 refuses 23.08% of the payments"), NODE, true_after_min=3,
        clears_after_min=8,
    ),
    "RewardCallsFail": Proof(
        {series("livepeer_reward_call_errors"): (Per(0), Per(1))}, "a reward call of n1 failed", TARGET,
        true_after_min=1, clears_after_min=10,
    ),
    "RedemptionsFail": Proof(
        {series("livepeer_ticket_redemption_errors"): (Per(0), Per(1))}, "redemptions of n1 fail again and again",
        TARGET, true_after_min=5, clears_after_min=6,
    ),
    "NoWork": Proof(
        {series("livefleet_segments_done_total"): (Per(1), Per(0)),
         series("livefleet_ai_requests_done_total"): (Per(0), Per(0)),
         series("livefleet_node_ready"): (1, 1), series("livefleet_drain_state"): (0, 0)},
        "n1 is healthy and has done nothing for 6h", TARGET, true_after_min=360, clears_after_min=1,
    ),
    "NotificationsFail": Proof(
        {series("alertmanager_notifications_failed_total", NODE, integration="webhook"): (Per(0), Per(1))},
        "notifications by webhook fail", NODE | {"integration": "webhook"}, true_after_min=1, clears_after_min=10,
    ),
    "AlertsNotSent": Proof(
        {series("prometheus_notifications_dropped_total", NODE): (Per(0), Per(1))},
        "Prometheus on n1 does not reach its Alertmanager", NODE, true_after_min=1, clears_after_min=10,
    ),
    "RulesFail": Proof(
        {series("prometheus_rule_evaluation_failures_total", NODE, rule_group="g"): (Per(0), Per(1))},
        "rules of g fail on n1", NODE | {"rule_group": "g"}, true_after_min=1, clears_after_min=10,
    ),
}  # fmt: skip
"""Alerts about how often something happens."""

CONDITIONS: dict[str, Proof] = {
    "SpecNotTaken": of_condition(
        "SpecCurrent", "NeedsRestart", "n1 does not take over what was declared", "",
        "The agent was told new settings or secrets (SpecCurrent) and goes on with what it had; they are wrong, wait "
        "for a restart, or cannot be fetched.",
    ),
    "DriverTrouble": of_condition("GpuDriver", "DriverNotLoaded", "the NVIDIA driver of n1 does not work"),
    "GpuFault": Proof(
        condition("GpuHealthy", "Xid79", "GPU-1"), "GPU-1 of n1 gets no work: it is faulty or missing",
        NODE | {"subject": "GPU-1"},
    ),
    "GpuWorn": Proof(
        condition("GpuLinkSound", "Narrow", "GPU-1"), "GPU-1 of n1 works, and somebody should look at it",
        NODE | {"subject": "GPU-1"},
    ),
    "ServiceUnreachable": of_condition(
        "ServiceReachable", "Unreachable", "n1 does not reach itself at its service URI"
    ),
    "CertificateInvalid": of_condition("CertificateValid", "Expired", "the certificate of n1 is not valid"),
    "WorkerApart": of_condition(
        "JoinedOrchestrator", "Failed", "the worker n1 is not joined to its orchestrator", "ai"
    ),
    "TranscoderDown": of_condition("TranscoderReady", "Restarting", "GPU-1 of n1 transcodes nothing", "GPU-1"),
    "ModelDown": of_condition(
        "ModelWarm", "Lost", "a/b of n1 is not offered", "a/b",
        "A declared model is not loaded (ModelWarm): no room, no files, or its process died.",
    ),
    "RewardMissed": of_condition("RewardsComplete", "RoundsMissed", "n1 missed the reward of the last round"),
    "KeyBalanceLow": Proof(
        condition("GasRunway", "Low", "hot"), "`hot` on n1 holds less ETH than is declared",
        about("GasRunway", "hot") | {"key": "hot"},
    ),
    "TicketsLost": of_condition("TicketsRedeemed", "Lost", "n1 lost winning tickets in the last 24 hours"),
    "WinnersStuck": of_condition(
        "TicketsRedeemed", "NotHandedOver", "winning tickets of n1 reach nobody who redeems them"
    ),
    "LedgerOff": of_condition("LedgerBalanced", "Differs", "the books of n1 do not agree with the chain"),
    "SignerLost": of_condition("SignerReachable", "NotReached", "n1 cannot sign", "own"),
    "TransactionsStuck": of_condition("TransactionsMove", "Stuck", "a transaction of 0x1 on n1 is not mined", "0x1"),
    "RedeemerClosed": of_condition("RedeemerOpen", "NotServing", "the redeemer n1 takes no tickets"),
    "PriceStale": of_condition("PriceFeedFresh", "Stale", "n1 reckons prices with an old rate"),
    "ActiveSetDanger": of_condition("ActiveSet", "NotInPool", "n1 falls out of the active set, or nearly does"),
    "DecisionAwaited": of_condition(
        "VotesOpen", "NotVoted", "something on chain waits for you (VotesOpen of n1)"
    ),
    "ConditionFalse": of_condition(
        "ObjectStoreWritable", "NotWritable", "ObjectStoreWritable  of n1 is false for half an hour"
    ),
}  # fmt: skip
"""Alerts about conditions that the agent reports."""

PROOFS = GAUGES | SHARES | CONDITIONS


def promtool_test(rule: AlertRule, proof: Proof) -> dict:
    """One entry of the `tests` of promtool's file."""
    lasts = math.ceil(rule.for_s / 60)
    bad = proof.true_after_min + lasts + 5
    fires = proof.well_min + proof.true_after_min + lasts
    clears = proof.well_min + bad + proof.clears_after_min
    quiet = [] if rule.name == "Watchdog" else [proof.well_min - 1, fires - 1, clears]
    total = clears + 5
    return {
        "name": rule.name,
        "interval": "1m",
        "input_series": [
            {"series": selector, "values": " ".join(_values(levels, proof.well_min, bad, total))}
            for selector, levels in proof.series.items()
        ],
        "alert_rule_test": [
            *({"eval_time": f"{minute}m", "alertname": rule.name, "exp_alerts": []} for minute in quiet),
            *(
                {"eval_time": f"{minute}m", "alertname": rule.name, "exp_alerts": [_expected(rule, proof, summary)]}
                for minute, summary in zip((fires, clears - 1), _summaries(proof), strict=True)
            ),
        ],
    }


def _summaries(proof: Proof) -> tuple[str, str]:
    return (proof.summary, proof.summary) if isinstance(proof.summary, str) else proof.summary


def _expected(rule: AlertRule, proof: Proof, summary: str) -> dict:
    return {
        "exp_labels": {"severity": rule.severity.value, "topic": rule.topic.value, **proof.labels},
        "exp_annotations": {
            "summary": summary,
            "description": proof.description or rule.means,
            "advice": rule.advice,
            "runbook_url": f"RUNBOOK.md#{rule.anchor}",
        },
    }


def _values(levels: tuple[Level, Level], well_min: int, bad_min: int, total: int) -> Iterator[str]:
    """A sample a minute: well, not well, well again."""
    total_so_far, before = 0.0, None
    for minute in range(total):
        level = levels[1] if well_min <= minute < well_min + bad_min else levels[0]
        match level:
            case None:
                yield "stale" if before not in (None, "stale", "_") else "_"
                before = "_"
                continue
            case Per():
                value = total_so_far
                total_so_far += level.minute
            case float() | int():
                value = level
            case _:
                value = level(minute)
        before = _number(value)
        yield before


def _number(value: float) -> str:
    if math.isinf(value):
        return "Inf"
    return f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}"
