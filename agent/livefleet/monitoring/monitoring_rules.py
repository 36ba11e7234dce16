"""Alerts about monitoring itself, and the one for whatever no other rule speaks for."""

from collections.abc import Iterable
from typing import Final

from livefleet.monitoring.alert import AlertRule, Look, Severity, Topic
from livefleet.monitoring.promql import span
from livefleet.spec.alerts import AlertSettings

__all__ = ["FOREIGN", "HEARTBEAT", "monitoring_rules"]

HEARTBEAT: Final = "Watchdog"

FOREIGN: Final = frozenset(
    {
        "up",
        "alertmanager_notifications_failed_total",
        "prometheus_notifications_dropped_total",
        "prometheus_rule_evaluation_failures_total",
    }
)
"""Names that no node exports: Prometheus makes them, or it and Alertmanager export them of themselves."""

_DELIBERATE: Final = ("InService", "BenchmarkCurrent", "WorkersOnCurrentSecret")
"""Conditions that are false because somebody wants it so, or by and by."""


def monitoring_rules(settings: AlertSettings, spoken_for: Iterable[str]) -> tuple[AlertRule, ...]:
    """`spoken_for`: the conditions that other rules speak for."""
    rules = _of_monitoring(span(settings.fail_window))
    own = (name for rule in rules for name in rule.conditions)
    others = "|".join(sorted({*spoken_for, *own, *_DELIBERATE}))
    return (*rules, _of_all_others(others))


def _of_monitoring(window: str) -> tuple[AlertRule, ...]:
    return (
        AlertRule(
            HEARTBEAT, Topic.MONITORING, Severity.HEARTBEAT, "vector(1)", 0,
            summary="monitoring works",
            means="Always fires. A service outside (`notify.heartbeat`) that hears it no more tells that the monitor "
            "is down, which the monitor cannot say itself.",
            advice="Nothing is to be done about it; do something when it stops",
            look=(Look("livefleet status MONITOR", "the monitor itself, when the heartbeat has stopped"),),
            clears="never, while monitoring works",
        ),
        AlertRule(
            "NotificationsFail", Topic.MONITORING, Severity.WARNING,
            f"increase(alertmanager_notifications_failed_total[{window}]) > 0", 300,
            summary="notifications by {{ $labels.integration }} fail",
            means="Alertmanager cannot deliver what it has to say by this way; it tries again.",
            advice="Check the receiver's address and secret; see what Alertmanager says",
            look=(
                Look("livefleet status MONITOR", "`AlertsDelivered`: which receiver, and what it answered"),
                Look("livefleet exec MONITOR -- journalctl -u prometheus-alertmanager -n 50", "what Alertmanager says"),
            ),
            clears=f"{window} after the last failure",
            conditions=("AlertsDelivered",),
        ),
        AlertRule(
            "AlertsNotSent", Topic.MONITORING, Severity.WARNING,
            f"increase(prometheus_notifications_dropped_total[{window}]) > 0", 300,
            summary="Prometheus on {{ $labels.node }} does not reach its Alertmanager",
            means="Alerts are found and told nobody. A second monitor or the heartbeat's service is what tells of it.",
            advice="Start Alertmanager on the monitor",
            look=(Look("livefleet exec MONITOR -- systemctl status prometheus-alertmanager", "whether it runs"),),
            clears=f"{window} after the last loss",
            conditions=("AlertmanagerServes",),
        ),
        AlertRule(
            "RulesFail", Topic.MONITORING, Severity.WARNING,
            f"increase(prometheus_rule_evaluation_failures_total[{window}]) > 0", 300,
            summary="rules of {{ $labels.rule_group }} fail on {{ $labels.node }}",
            means="Alerts of that group cannot fire.",
            advice="Read the error on Prometheus' page /rules; two targets with the same labels are a usual cause",
            look=(Look("http://127.0.0.1:9090/rules on the monitor", "each rule with its error"),),
            clears=f"{window} after the last failure",
        ),
    )  # fmt: skip


def _of_all_others(spoken_for: str) -> AlertRule:
    return AlertRule(
        "ConditionFalse", Topic.MONITORING, Severity.WARNING,
        "min by (fleet, node, role, condition, subject) "
        f'(livefleet_condition_status{{condition!~"{spoken_for}"}}) == 0',
        1800,
        summary="{{ $labels.condition }} {{ $labels.subject }} of {{ $labels.node }} is false for half an hour",
        means="The agent says that something is wrong for which there is no alert of its own.",
        advice="Read the condition's message: it says what to do",
        look=(Look("livefleet status HOST", "every condition, with its reason and what to do"),),
        clears="when the condition holds",
    )  # fmt: skip
