"""Prometheus collectors that read state at scrape; go-livepeer's names where it has one for the thing."""

import re
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from livefleet.health.status import NodeStatus
from livefleet.kernel import Histogram

__all__ = ["Collected", "NodeCollector", "Reading", "ReadingCollector", "exposition"]

_REFERENCE = "livepeer_"
"""How go-livepeer's own names begin. Its counters carry no suffix `_total` but where the name has one."""

_UNOWNED = "livepeer_versions"
"""The one name of the reference without the labels that all others have."""

# The library's head of a counter; it adds the suffix whatever the samples are called.
_SUFFIXED = re.compile(rf"^# HELP ({_REFERENCE}\w+)_total (.*)\n# TYPE \1_total counter$", re.MULTILINE)


class Collected(CollectorRegistry):
    """What a registry holds at this moment. Made on the loop whose state is read; may be written out elsewhere."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._families = tuple(registry.collect())

    def collect(self) -> Iterator[Metric]:
        """The same families, however often."""
        return iter(self._families)


def exposition(registry: CollectorRegistry) -> bytes:
    """Everything in Prometheus' text format, go-livepeer's names as they are, so that its dashboards go on working."""
    return _SUFFIXED.sub(r"# HELP \1 \2\n# TYPE \1 counter", generate_latest(registry).decode()).encode()


class NodeCollector(Collector):
    """Identity, readiness and conditions."""

    def __init__(self, status: Callable[[], NodeStatus]) -> None:
        self._status = status

    def describe(self) -> Iterator[Metric]:
        """Nothing is known before the first scrape."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Read the status once."""
        status = self._status()
        info = GaugeMetricFamily(
            "livefleet_node_info", "Who this node is.", labels=["version", "role", "fleet", "node", "digest", "release"]
        )
        digest = status.digest.removeprefix("sha256:")[:12]
        info.add_metric([status.version, status.role, status.fleet, status.name, digest, status.release], 1)
        yield info
        yield GaugeMetricFamily("livefleet_node_ready", "1 when /readyz says 200.", value=float(status.ready))
        yield GaugeMetricFamily("livefleet_node_started_seconds", "Unix time of the start.", value=status.started_at)
        condition = GaugeMetricFamily(
            "livefleet_condition_status", "1 true, 0 false, -1 unknown.", labels=["condition", "subject", "reason"]
        )
        for c in status.conditions:
            condition.add_metric([c.name, c.subject, c.reason], {"true": 1, "false": 0}.get(c.status.value, -1))
        yield condition


Reading = tuple[str, str, str, dict[str, str], float | Histogram]
"""(name as shown, kind `counter`, `gauge` or `histogram`, help, labels, value)."""


class ReadingCollector(Collector):
    """Turns plain readings of a service into metric families, read at scrape.

    `owner`: labels that every one of go-livepeer's names gets, which say whose it is.
    """

    def __init__(self, read: Callable[[], list[Reading]], owner: Mapping[str, str] | None = None) -> None:
        self._read = read
        self._owner = dict(owner or {})

    def describe(self) -> Iterator[Metric]:
        """Nothing is known before the first scrape."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Readings of the same name become one family."""
        families: dict[str, Metric] = {}
        for name, kind, text, labels, value in self._read():
            is_reference = name.startswith(_REFERENCE)
            if is_reference and name != _UNOWNED:
                labels = labels | self._owner  # noqa: PLW2901 -- the reading's labels, completed
            if kind == "counter" and not is_reference:
                name = name.removesuffix("_total")  # noqa: PLW2901 -- the library wants the family's name without
            family = families.setdefault(name, Metric(name, text, kind))
            if isinstance(value, Histogram):
                _add_histogram(family, labels, value)
            else:
                suffix = "_total" if kind == "counter" and not is_reference else ""
                family.add_sample(name + suffix, labels, value)
        yield from families.values()


def _add_histogram(family: Metric, labels: dict[str, str], histogram: Histogram) -> None:
    below = 0
    ends = (*(f"{bound:g}" for bound in histogram.bounds), "+Inf")  # as Go writes them, since queries compare the text
    for end, count in zip(ends, histogram.counts, strict=True):
        below += count
        family.add_sample(f"{family.name}_bucket", labels | {"le": end}, below)
    family.add_sample(f"{family.name}_sum", labels, histogram.total)
    family.add_sample(f"{family.name}_count", labels, below)
