"""A scrape, and the table of all metrics that it is held against."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from livefleet.health import Reading, ReadingCollector, exposition

TABLE = Path(__file__).parents[2] / "agent/livefleet/health/README.md"
OWNER = {"node_id", "node_type"}

_ROW = re.compile(r"^\| `(\w+)` \| (gauge|counter|histogram) \|([^|]*)\|([^|]*)\|", re.MULTILINE)
_MEANING = re.compile(r"^\| `(\w+)` \| (?:gauge|counter|histogram) \|[^|]*\|[^|]*\|(.*)\|$", re.MULTILINE)
_SAMPLE = re.compile(r"^(\w+)[ {]", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    kind: str
    labels: frozenset[str]
    per_stream: frozenset[str]
    on: frozenset[str]


def the_table() -> dict[str, Row]:
    """Every row by name."""
    rows = {}
    for name, kind, labels, on in _ROW.findall(TABLE.read_text()):
        always, _, extra = labels.partition("(")
        assert name not in rows, f"{name} stands twice in {TABLE.name}"
        rows[name] = Row(name, kind, words(always), words(extra), words(on))
    return rows


def metric_meanings() -> dict[str, str]:
    """What the table says of each, by name."""
    return {name: meaning.strip() for name, meaning in _MEANING.findall(TABLE.read_text())}


def words(text: str) -> frozenset[str]:
    """The words of a cell."""
    return frozenset(re.findall(r"\w+", text))


@dataclass
class Scrape:
    """What one node exposes, by the names as they are shown."""

    kinds: dict[str, str]
    samples: list

    @classmethod
    def of(cls, text: str) -> "Scrape":
        """Parsed as Prometheus would."""
        kinds, samples, shown = {}, [], set(_SAMPLE.findall(text))
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                # The parser gives every counter a suffix.
                name = sample.name if sample.name in shown else sample.name.removesuffix("_total")
                assert name in shown
                kinds[_family(name, family.type)] = family.type
                samples.append(sample._replace(name=name))
        return cls(kinds, samples)

    @classmethod
    def of_readings(cls, readings: Iterable[Reading], *collectors: Collector) -> "Scrape":
        """What plain readings and collectors come to."""
        found = list(readings)
        registry = CollectorRegistry()
        registry.register(ReadingCollector(lambda: found))
        for collector in collectors:
            registry.register(collector)
        return cls.of(exposition(registry).decode())

    def value(self, name: str, **labels: str) -> float:
        """The one sample with these labels among its own."""
        found = [s for s in self.samples if s.name == name and labels.items() <= s.labels.items()]
        assert len(found) == 1, (name, labels, found)
        return found[0].value

    def labels(self, name: str) -> list[dict[str, str]]:
        """The labels of every sample of a name."""
        return [dict(s.labels) for s in self.samples if s.name == name]

    def bounds(self, name: str) -> list[str]:
        """Upper ends of a histogram's ranges."""
        return list(dict.fromkeys(labels["le"] for labels in self.labels(f"{name}_bucket")))


def drift(scrape: Scrape, *groups: str, per_stream: bool = False, owner: bool = True) -> list[str]:
    """Where the scrape and the table differ: names that are not in it, other types or labels, rows that are missing."""
    table, faults = the_table(), []
    ours = {name: kind for name, kind in scrape.kinds.items() if name.startswith(("livepeer_", "livefleet_"))}
    for name, kind in ours.items():
        row = table.get(name)
        if row is None:
            faults.append(f"{name} is not in the table")
            continue
        if kind != row.kind:
            faults.append(f"{name} is a {kind}, not a {row.kind}")
        wanted = _labels(row, per_stream=per_stream, owner=owner)
        faults += [
            f"{name} has the labels {sorted(labels)}, not {sorted(wanted)}"
            for labels in _label_sets(scrape, name, row.kind)
            if labels != wanted
        ]
    expected = [row.name for row in table.values() if row.on & set(groups)]
    faults += [f"{name} is missing" for name in expected if name not in ours]
    return faults


def _labels(row: Row, *, per_stream: bool, owner: bool) -> frozenset[str]:
    is_owned = owner and row.name.startswith("livepeer_") and row.name != "livepeer_versions"
    return row.labels | (row.per_stream if per_stream else frozenset()) | (OWNER if is_owned else frozenset())


def _label_sets(scrape: Scrape, name: str, kind: str) -> set[frozenset[str]]:
    shown = f"{name}_count" if kind == "histogram" else name
    return {frozenset(labels) for labels in scrape.labels(shown)}


def _family(sample: str, kind: str) -> str:
    return re.sub(r"_(bucket|sum|count)$", "", sample) if kind == "histogram" else sample
