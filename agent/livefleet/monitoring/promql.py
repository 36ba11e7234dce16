"""What a PromQL expression asks for: enough of the language to hold rules and panels against exported metrics."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["Selector", "condition_of", "grouping_labels", "selectors", "span"]

_WORDS: Final = frozenset({
    "and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset", "start",
    "end", "inf", "nan", "atan2",
})  # fmt: skip
_STRING: Final = r'"(?:[^"\\]|\\.)*"'
_TOKEN: Final = re.compile(
    rf"(?P<string>{_STRING})|(?P<range>\[[^\]]*\])|(?P<number>(?<![\w:])[0-9][\w.]*)|(?P<name>[A-Za-z_:][\w:]*)|(?P<sign>\S)"
)
_MATCHER: Final = re.compile(rf"\s*(?P<label>\w+)\s*(?P<operator>=~|!~|!=|=)\s*(?P<value>{_STRING})\s*(?:,|\Z)")
_GROUPING: Final = re.compile(
    rf"{_STRING}|\b(?:by|without|on|ignoring|group_left|group_right)\s*\((?P<labels>[\w\s,]*)\)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Selector:
    """One metric that is asked for, with its matchers as (label, operator, value)."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]

    @property
    def labels(self) -> frozenset[str]:
        """Names of the labels that it matches."""
        return frozenset(label for label, _, _ in self.matchers)


def selectors(expr: str) -> list[Selector]:
    """Every metric of the expression in order of appearance. Functions, keywords and label lists are not metrics.

    Raises ValueError for matchers that it cannot read.
    """
    return list(_selectors(_without_groupings(expr)))


def grouping_labels(expr: str) -> frozenset[str]:
    """The labels that `by`, `on` and their kin name."""
    return frozenset(
        label.strip()
        for found in _GROUPING.finditer(expr)
        for label in (found["labels"] or "").split(",")
        if label.strip()
    )


def condition_of(name: str, matchers: str = "") -> str:
    """The agent's condition `name` being false: a series a subject, whatever its reason, so that it may change."""
    extra = f",{matchers}" if matchers else ""
    selector = f'livefleet_condition_status{{condition="{name}"{extra}}}'
    return f"min by (fleet, node, role, condition, subject) ({selector}) == 0"


def span(seconds: float) -> str:
    """A length of time as PromQL and Prometheus' files write it: the largest unit that fits, whole milliseconds."""
    left = round(seconds * 1000)
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if left and left % size == 0:
            return f"{left // size}{unit}"
    return f"{left}ms"


def _selectors(expr: str) -> Iterator[Selector]:
    position = 0
    while (token := _TOKEN.search(expr, position)) is not None:
        position = token.end()
        name = token["name"]
        if name is None or name.lower() in _WORDS:
            continue
        rest = expr[position:].lstrip()
        if rest.startswith("("):
            continue  # a function or an aggregation
        matchers: tuple[tuple[str, str, str], ...] = ()
        if rest.startswith("{"):
            start = expr.index("{", position)
            end = _end_of_braces(expr, start)
            matchers = tuple(_matchers(expr[start + 1 : end]))
            position = end + 1
        yield Selector(name, matchers)


def _matchers(text: str) -> Iterator[tuple[str, str, str]]:
    position = 0
    while text[position:].strip():
        found = _MATCHER.match(text, position)
        if found is None:
            raise ValueError(f"cannot read the matchers {{{text}}}")
        yield found["label"], found["operator"], found["value"][1:-1]
        position = found.end()


def _end_of_braces(expr: str, start: int) -> int:
    for found in re.finditer(rf"{_STRING}|\}}", expr[start:]):
        if found.group() == "}":
            return start + found.start()
    raise ValueError(f"a brace is not closed: {expr[start:]}")


def _without_groupings(expr: str) -> str:
    return _GROUPING.sub(lambda found: found.group() if found["labels"] is None else " ", expr)
