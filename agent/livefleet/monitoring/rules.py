"""All alert rules, and the file in which Prometheus reads them."""

import io
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from ruamel.yaml import YAML

from livefleet.monitoring.alert import AlertRule
from livefleet.monitoring.chain_rules import chain_rules
from livefleet.monitoring.hardware_rules import hardware_rules
from livefleet.monitoring.host_rules import DECLARED, host_rules
from livefleet.monitoring.money_rules import money_rules
from livefleet.monitoring.monitoring_rules import monitoring_rules
from livefleet.monitoring.promql import span
from livefleet.monitoring.work_rules import work_rules
from livefleet.spec.alerts import AlertSettings

__all__ = ["advice_on", "alert_rules", "groups_text", "rules_text"]


def alert_rules(settings: AlertSettings) -> tuple[AlertRule, ...]:
    """Every rule that is not switched off."""
    special = (
        *host_rules(settings),
        *hardware_rules(settings),
        *work_rules(settings),
        *money_rules(settings),
        *chain_rules(settings),
    )
    rules = (*special, *monitoring_rules(settings, (name for rule in special for name in rule.conditions)))
    return tuple(rule for rule in rules if rule.name not in settings.off)


def advice_on(condition: str, settings: AlertSettings | None = None) -> str | None:
    """What the alert that speaks for the agent's condition advises; None where none does."""
    rules = alert_rules(settings or AlertSettings())
    return next((rule.advice for rule in rules if condition in rule.conditions), None)


def rules_text(settings: AlertSettings, declared: Mapping[str, str], *, pace: float = 1.0) -> str:
    """rules.yml.

    `declared`: the digest (12 hex digits) of what each host is to run, by its name; empty where that changes without an
    apply. Hosts that are not in it may run what they like, and be silent.
    `pace`: what is waited for before an alert fires is that many times as long; tests have it short.
    """
    recorded = [
        {"record": DECLARED, "expr": "vector(1)", "labels": {"node": node} | ({"digest": digest} if digest else {})}
        for node, digest in sorted(declared.items())
    ]
    first = [{"name": "livefleet-declared", "rules": recorded}] if recorded else []
    return _yaml([*first, *_groups(alert_rules(settings), settings, pace)])


def groups_text(rules: Sequence[AlertRule], settings: AlertSettings) -> str:
    """The same of any rules, in groups by topic; nothing is said of what hosts are to run."""
    return _yaml(_groups(rules, settings, 1.0))


def _groups(rules: Sequence[AlertRule], settings: AlertSettings, pace: float) -> list[dict[str, Any]]:
    return [
        {"name": f"livefleet-{topic.value}", "rules": [_entry(rule, settings, pace) for rule in members]}
        for topic, members in groupby(rules, key=lambda rule: rule.topic)
    ]


def _entry(rule: AlertRule, settings: AlertSettings, pace: float) -> dict[str, Any]:
    waits = {"for": span(rule.for_s * pace)} if rule.for_s else {}
    return {
        "alert": rule.name,
        "expr": rule.expr,
        **waits,
        "labels": {"severity": rule.severity.value, "topic": rule.topic.value},
        "annotations": {
            "summary": rule.summary,
            "description": rule.means,
            "advice": rule.advice,
            "runbook_url": f"{settings.runbook_url or 'RUNBOOK.md'}#{rule.anchor}",
        },
    }


def _yaml(groups: Sequence[Mapping[str, Any]]) -> str:
    yaml = YAML()
    yaml.width = 4096
    text = io.StringIO()
    yaml.dump({"groups": list(groups)}, text)
    return text.getvalue()
