"""A dashboard as data: what is asked, and how it is shown. No library of Grafana's is needed for this."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["Board", "Kind", "Panel", "Query", "Row", "Unit", "Variable", "panel", "stat", "states", "table"]

_HERE: Final = 'fleet=~"$fleet",node=~"$node"'
_GPU: Final = 'gpu=~"$gpu"'


class Unit(StrEnum):
    """By Grafana's names."""

    NUMBER = "short"
    BYTES = "bytes"
    SECONDS = "s"
    MILLISECONDS = "ms"
    DATE = "dateTimeAsIso"  # of milliseconds
    PERCENT = "percent"  # 100 is all
    RATIO = "percentunit"  # 1 is all
    CELSIUS = "celsius"
    WATTS = "watt"
    JOULES = "joule"
    HERTZ = "hertz"
    PER_SECOND = "cps"
    ETH = "suffix: ETH"
    GWEI = "suffix: gwei"
    WEI = "suffix: wei"
    LPT = "suffix: LPT"
    DOLLARS = "currencyUSD"
    PIXELS_PER_SECOND = "suffix: px/s"


class Kind(StrEnum):
    """How a panel shows its series."""

    TIME = "time"  # lines over time
    STAT = "stat"  # the last value, large
    TABLE = "table"  # the last values, a line a series
    STATES = "states"  # bars of colour over time: 1 is well, 0 is not


class Variable(StrEnum):
    """What a viewer chooses from; each holds for all those that come after it."""

    FLEET = "fleet"
    NODE = "node"
    GPU = "gpu"


@dataclass(frozen=True, slots=True)
class Query:
    """One expression, with Grafana's variables in it, and the name of its series."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. `alerts`: those that fire on what it shows."""

    title: str
    kind: Kind
    unit: Unit
    queries: tuple[Query, ...]
    description: str
    alerts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard. `name` is its file's and its address', stable."""

    name: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]
    since: str = "now-6h"

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All of them, in order."""
        return tuple(each for row in self.rows for each in row.panels)


def panel(
    title: str, query: str | dict[str, str], unit: Unit, legend: str, description: str, *alerts: str,
    kind: Kind = Kind.TIME,
) -> Panel:  # fmt: skip
    """Lines over time.

    `query`: one expression, or several by what each adds before `legend`. HERE in it stands for the chosen fleet and
    nodes, GPU for the chosen devices.
    """
    several = query if isinstance(query, dict) else {"": query}
    queries = tuple(Query(_filled(expr), f"{first} {legend}".strip()) for first, expr in several.items())
    return Panel(title, kind, unit, queries, description, alerts)


def stat(title: str, query: str, unit: Unit, description: str, *alerts: str, legend: str = "") -> Panel:
    """One number, or one for each name that `legend` tells apart."""
    return panel(title, query, unit, legend, description, *alerts, kind=Kind.STAT)


def table(title: str, query: str, description: str, *alerts: str, unit: Unit = Unit.NUMBER) -> Panel:
    """A line for each series, its labels as columns."""
    return panel(title, query, unit, "", description, *alerts, kind=Kind.TABLE)


def states(title: str, query: str, legend: str, description: str, *alerts: str) -> Panel:
    """When each was well: 1 green, 0 red, -1 not known."""
    return panel(title, query, Unit.NUMBER, legend, description, *alerts, kind=Kind.STATES)


def _filled(expr: str) -> str:
    return " ".join(expr.replace("HERE", _HERE).replace("GPU", _GPU).split())
