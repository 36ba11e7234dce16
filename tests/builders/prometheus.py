"""What a PromQL expression asks for, held against the table of what nodes export."""

from collections.abc import Iterable

from livefleet.monitoring.monitoring_rules import FOREIGN
from livefleet.monitoring.promql import Selector, grouping_labels, selectors
from tests.builders.metrics import OWNER, Row, the_table

TARGET_LABELS = frozenset({"job", "instance", "fleet", "node", "role"})
"""What monitors put on every series of a node."""

FOREIGN_LABELS = {
    "up": frozenset(),
    "alertmanager_notifications_failed_total": frozenset({"integration"}),
    "prometheus_notifications_dropped_total": frozenset({"alertmanager"}),
    "prometheus_rule_evaluation_failures_total": frozenset({"rule_group"}),
}

RECORDED = {
    "livefleet:declared": frozenset({"node", "digest"}),
    "ALERTS": frozenset({"alertname", "alertstate", "severity", "topic"}) | TARGET_LABELS,
    "process_cpu_seconds_total": TARGET_LABELS,
    "process_resident_memory_bytes": TARGET_LABELS,
}
"""Series that the rules' own file records, Prometheus makes of the alerts, or its library shows of every process."""

__all__ = ["FOREIGN_LABELS", "RECORDED", "TARGET_LABELS", "selectors", "unknown_in"]


def unknown_in(expr: str) -> list[str]:
    """Metrics that no node exports, and labels that they do not have, in the expression's words; [] if all is known."""
    table = the_table()
    asked = selectors(expr)
    labels = [_labels(selector, table) for selector in asked]
    faults = [f"no node exports {s.metric}" for s, known in zip(asked, labels, strict=True) if known is None]
    faults += [
        f"{selector.metric} has no label {label}"
        for selector, known in zip(asked, labels, strict=True)
        if known is not None
        for label in sorted(selector.labels - known)
    ]
    anywhere = TARGET_LABELS.union(*(known for known in labels if known is not None))
    return faults + [f"no metric here has the label {label}" for label in sorted(grouping_labels(expr) - anywhere)]


def _labels(selector: Selector, table: dict[str, Row]) -> frozenset[str] | None:
    if selector.metric in FOREIGN:
        return FOREIGN_LABELS[selector.metric] | TARGET_LABELS
    if selector.metric in RECORDED:
        return RECORDED[selector.metric]
    row = next((table[name] for name in _families(selector.metric) if name in table), None)
    if row is None:
        return None
    owner = OWNER if row.name.startswith("livepeer_") else frozenset()
    quantile = {"le"} if row.kind == "histogram" else frozenset()
    return row.labels | row.per_stream | owner | quantile | TARGET_LABELS


def _families(metric: str) -> Iterable[str]:
    yield metric
    for suffix in ("_bucket", "_sum", "_count"):
        if metric.endswith(suffix):
            yield metric.removesuffix(suffix)
