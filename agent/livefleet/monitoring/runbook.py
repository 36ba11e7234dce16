"""The runbook: a page with a section for each alert, made from the same data as the alerts.

`python -m livefleet.monitoring.runbook` prints it; a test holds RUNBOOK.md against it.
"""

import re
import sys
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from livefleet.monitoring.alert import AlertRule, Severity, Topic
from livefleet.monitoring.promql import span
from livefleet.monitoring.rules import alert_rules
from livefleet.spec.alerts import AlertSettings

__all__ = ["runbook_text"]

_HEAD: Final = """\
# Runbook

One section for each alert that a monitor ships, made from the rules themselves (`livefleet.monitoring.rules`): what is
said here is what the alert says. HOST and MONITOR stand for hosts' names. Thresholds are the defaults of
`monitoring.alerts` in the fleet file; `monitoring.alerts.off` leaves alerts out.

- **critical**: money or service is being lost; told at any hour, again every four hours.
- **warning**: for today; quiet hours hold it back, told again once a day.
- **info**: for a decision in days.
- **heartbeat**: always fires, and is told to `notify.heartbeat` alone.

An alert that another one explains is not sent while that one fires ("held back by"). While a node is down or silent,
nothing else is said of it.
"""

_TITLES: Final = {
    Topic.HOSTS: "Hosts and agents",
    Topic.HARDWARE: "GPUs and driver",
    Topic.WORK: "Work",
    Topic.MONEY: "Tickets, payments, rewards, gas",
    Topic.CHAIN: "Chain",
    Topic.MONITORING: "Monitoring itself",
}

_TEMPLATE: Final = re.compile(r"\{\{ \$(?:labels\.)?(\w+)[^}]*\}\}")


def runbook_text(settings: AlertSettings | None = None) -> str:
    """RUNBOOK.md, with the thresholds of `settings` (None: the defaults)."""
    rules = alert_rules(settings or AlertSettings())
    parts = [_HEAD, *_overview(rules)]
    for topic, members in groupby(rules, key=lambda rule: rule.topic):
        parts += ["", f"# {_TITLES[topic]}"]
        for rule in members:
            parts += _section(rule)
    return "\n".join(parts) + "\n"


def _overview(rules: tuple[AlertRule, ...]) -> Iterator[str]:
    yield "| severity | alerts |"
    yield "|---|---|"
    for severity in Severity:
        names = ", ".join(f"[{rule.name}](#{rule.anchor})" for rule in rules if rule.severity is severity)
        yield f"| {severity.value} | {names} |"


def _section(rule: AlertRule) -> Iterator[str]:
    lasts = f", for {span(rule.for_s)}" if rule.for_s else ""
    yield from ("", f"## {rule.name}", "")
    yield f"{rule.severity.value.capitalize()}{lasts}: *{_plain(rule.summary)}*. {_plain(rule.means)}"
    yield from ("", f"**Do:** {rule.advice}.", "")
    yield from (f"- `{look.command}`: {look.shows}" for look in rule.look)
    yield from ("", f"Clears {rule.clears}.")
    if rule.conditions:
        yield f"Speaks for the condition{'s' * (len(rule.conditions) > 1)} {_listed(rule.conditions)}."
    if rule.held_by:
        yield f"Held back by {_listed(rule.held_by)}."
    yield from ("", "```promql", rule.expr, "```")


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _plain(text: str) -> str:
    """`text` with a word in capitals for each thing that is filled in."""
    return _TEMPLATE.sub(lambda found: "HOST" if found[1] == "node" else found[1].upper(), text)


if __name__ == "__main__":
    sys.stdout.write(runbook_text())
