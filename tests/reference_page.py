"""The reference page: every condition, sign, metric and alert, from the code.

`python -m tests.reference_page` writes it; a test holds agent/livefleet/health/REFERENCE.md against it.
"""

from collections.abc import Iterator
from pathlib import Path

import livefleet
from livefleet.hardware import OTHER_XID, RECOVERY, SIGN_ROWS, XID_ROWS
from livefleet.hardware.policy_rows import Repeated, SignRow, XidRow
from livefleet.monitoring.conditions import CONDITIONS, condition_advice
from livefleet.monitoring.dashboards import boards
from livefleet.monitoring.promql import selectors, span
from livefleet.monitoring.rules import alert_rules
from livefleet.spec.alerts import AlertSettings
from tests.builders.metrics import TABLE, metric_meanings, the_table

PAGE = Path(livefleet.__file__).parent / "health" / "REFERENCE.md"

_HEAD = """\
# Reference

What a node says of itself, what is done about it, and what people are told: every condition, every sign and report of a
GPU, every metric, every alert, every dashboard. Made from the code by `python -m tests.reference_page`; a test keeps
page and code equal. The advice is what `livefleet status`, `livefleet doctor` and the alerts say, in the same words.

- [Conditions](#conditions): statements about a node, of which each should be true
- [GPUs: what NVML tells](#gpus-what-nvml-tells), [reports of the driver](#gpus-reports-of-the-driver-xid),
  [the driver's own advice](#gpus-the-drivers-own-advice)
- [Metrics](#metrics)
- [Alerts](#alerts)
- [Dashboards](#dashboards)
"""

_CONDITIONS = """\
`/status`, `livefleet status HOST` and `livefleet_condition_status{condition=...}` tell each, with its reason, since
when it is so, and a sentence that says what was found. Gates: whether the node is not ready (`/readyz` says 503)
while it does not hold.
"""

_SIGNS = """\
What each leads to where `gpu_health.signs` declares nothing else. `watch` and `healthy` work; all other states get no
work until what they name was done: [GPU_HEALTH.md](../reconcile/resources/GPU_HEALTH.md). Told as the condition named,
by the GPU's UUID.
"""

_XIDS = """\
What each leads to where `gpu_health.xids` declares nothing else. Read by NVML's events and from the kernel's log.
"""

_METRICS = """\
[README.md](README.md) says on which nodes each is, and how they are counted.
"""

_ALERTS = """\
[RUNBOOK.md](../monitoring/RUNBOOK.md) has a section for each: what is wrong, what it costs, what to look at.
"""


def reference_text() -> str:
    """REFERENCE.md."""
    parts = (_conditions(), _signs(), _xids(), _recovery(), _metrics(), _alerts(), _dashboards())
    return "\n".join([_HEAD, *(line for part in parts for line in (*part, ""))]).rstrip() + "\n"


def _conditions() -> Iterator[str]:
    yield from ("## Conditions", "", _CONDITIONS)
    alerts = {name: rule for rule in alert_rules(AlertSettings()) for name in rule.conditions}
    (general,) = [rule for rule in alert_rules(AlertSettings()) if rule.name == "ConditionFalse"]
    left_out = {word for s in selectors(general.expr) for _, _, value in s.matchers for word in value.split("|")}

    def otherwise(name: str) -> str:
        return "none" if name in left_out else _alert(general.name)

    rows = [
        (
            f"`{row.name}`",
            row.told_by,
            row.means + (f"; for each {row.subject}" if row.subject else ""),
            row.gates.value,
            condition_advice(row.name) or "",
            _alert(alerts[row.name].name) if row.name in alerts else otherwise(row.name),
        )
        for row in CONDITIONS
    ]
    yield from _table(("condition", "told by", "true while", "gates", "while it is false", "alert"), rows)


def _signs() -> Iterator[str]:
    yield from ("## GPUs: what NVML tells", "", _SIGNS)
    rows = [
        (f"`{row.sign.value}`", row.meaning, f"`{row.facet.value}`, {row.reason}", _state_of_sign(row), row.advice)
        for row in SIGN_ROWS
    ]
    yield from _table(("sign", "means", "condition, reason", "state", "do"), rows)


def _state_of_sign(row: SignRow) -> str:
    waits = f" after {span(row.after_s)}" if row.after_s else ""
    later = f", {row.later.state.value} after {span(row.later.after_s)}" if row.later is not None else ""
    return f"{row.state.value}{waits}{later}"


def _xids() -> Iterator[str]:
    yield from ("## GPUs: reports of the driver (Xid)", "", _XIDS)
    rows = [
        (
            ", ".join(map(str, row.codes)) or "any other",
            row.meaning,
            f"`{row.facet.value}`, {row.reason}",
            row.state.value + _repeated(row.repeated),
            row.ends.value,
            _xid_advice(row),
        )
        for row in sorted(XID_ROWS, key=lambda row: row.codes)
    ]
    other = (("any other", OTHER_XID.meaning, f"`{OTHER_XID.facet.value}`, {OTHER_XID.reason}", OTHER_XID.state.value,
              OTHER_XID.ends.value, OTHER_XID.advice),)  # fmt: skip
    yield from _table(("Xid", "means", "condition, reason", "state", "over", "do"), [*rows, *other])


def _repeated(repeated: Repeated | None) -> str:
    if repeated is None:
        return ""
    return f"; {repeated.state.value} from {repeated.count} within {span(repeated.within_s)} on"


def _xid_advice(row: XidRow) -> str:
    return row.advice if row.repeated is None else f"{row.advice}; repeated: {row.repeated.advice}"


def _recovery() -> Iterator[str]:
    yield from ("## GPUs: the driver's own advice", "", "Where the driver gives any, it decides.", "")
    rows = [(str(row.action), row.meaning, row.reason, row.state.value, row.advice) for row in RECOVERY]
    yield from _table(("action", "means", "reason", "state", "do"), rows)


def _metrics() -> Iterator[str]:
    yield from ("## Metrics", "", _METRICS)
    meanings, table = metric_meanings(), the_table()
    used = _dashboards_by_metric()
    rows = [
        (f"`{name}`", row.kind, ", ".join(sorted(row.labels | row.per_stream)), meanings[name], ", ".join(used[name]))
        for name, row in table.items()
    ]
    yield from _table(("metric", "type", "labels", "meaning", "dashboards"), rows)


def _dashboards_by_metric() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {name: [] for name in the_table()}
    for board in boards():
        asked = {s.metric for each in board.panels for query in each.queries for s in selectors(query.expr)}
        for name, used_by in found.items():
            if asked & {name, f"{name}_bucket", f"{name}_sum", f"{name}_count"}:
                used_by.append(board.name.removeprefix("livefleet-"))
    return found


def _alerts() -> Iterator[str]:
    yield from ("## Alerts", "", _ALERTS)
    rows = [
        (_alert(rule.name), rule.severity.value, span(rule.for_s) if rule.for_s else "at once", rule.means, rule.advice)
        for rule in alert_rules(AlertSettings())
    ]
    yield from _table(("alert", "severity", "after", "means", "do"), rows)


def _dashboards() -> Iterator[str]:
    yield from ("## Dashboards", "", "Drawn from `livefleet.monitoring.dashboards`; a monitor's Grafana has them, and")
    yield from ("`livefleet export dashboards FOLDER` writes them for another.", "")
    rows = [(f"`{board.name}`", board.description, ", ".join(row.title for row in board.rows)) for board in boards()]
    yield from _table(("dashboard", "shows", "parts"), rows)


def _alert(name: str) -> str:
    return f"[{name}](../monitoring/RUNBOOK.md#{name.lower()})"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


if __name__ == "__main__":
    PAGE.write_text(reference_text())
    print(f"{PAGE} is written; the metrics are those of {TABLE.name}")
