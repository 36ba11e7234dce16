"""Reading the table of cards: groups merged into cards, every named source looked up."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from livefleet.spec.card import Card, Known, Source
from livefleet.spec.document import Document, read_document
from livefleet.spec.explain import Locate, dotted, explain
from livefleet.spec.gpu import CardName
from livefleet.spec.model import SpecModel
from livefleet.spec.problem import Problem, SpecError, did_you_mean
from livefleet.spec.profile import Origin, Trail
from livefleet.spec.suggestions import Suggestions

__all__ = ["CardTable", "folded", "read_cards"]

_NOISE: Final = re.compile(r"(?:[\s\-_/™®]|\((?:tm|r)\))+")
_WITH_SOURCES: Final = ("session_cap", "suggestions", "groups", "cards")


class _File(SpecModel):
    """cards.yaml. A card has its groups' values, the later group's winning, and its own over them."""

    sources: dict[str, Source]
    session_cap: Known[int]
    suggestions: Suggestions
    groups: dict[str, dict[str, Any]]
    cards: dict[CardName, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class CardTable:
    """All that is known."""

    cards: Mapping[str, Card]
    """By name, in the file's order: older first."""

    sources: Mapping[str, Source]
    """By the names that values give."""

    session_cap: Known[int]
    """Encoder sessions of all `shared` cards of a host together, by the driver."""

    suggestions: Suggestions
    by_name: Mapping[str, Card]
    """By what NVML calls it, folded."""

    by_pci_id: Mapping[int, tuple[Card, ...]]


def folded(name: str) -> str:
    """The same for `NVIDIA GeForce RTX 3060`, `GeForce RTX 3060` and `geforce  rtx-3060`."""
    return _NOISE.sub(" ", name.casefold()).strip().removeprefix("nvidia ").strip()


def read_cards(file: Path) -> CardTable:
    """Read and check a table. Raises SpecError with positions."""
    document = read_document(file)
    try:
        content = _File.model_validate(document.data)
    except ValidationError as error:
        found = explain(error, _File, document.data, _locator(document))
        raise SpecError([*document.problems, *found]) from error
    problems: list[Problem] = [*document.problems, *_unknown_sources(document, content)]
    cards: dict[str, Card] = {}
    for name, own in content.cards.items():
        data, unknown = _merged(document, content, name, own)
        problems += unknown
        try:
            cards[name] = Card.model_validate(data)
        except ValidationError as error:
            problems += explain(error, Card, data, _locator(document, "cards", name))
    if problems:
        raise SpecError(problems)
    return _indexed(content, cards)


def _merged(document: Document, content: _File, name: str, own: dict[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    data: dict[str, Any] = {}
    problems = []
    for index, group in enumerate(own.get("groups", ())):
        if group not in content.groups:
            hint = did_you_mean(str(group), content.groups)
            problems.append(_problem(document, ("cards", name, "groups", index), f"no group `{group}`", hint))
        data |= content.groups.get(group, {})
    return data | {"card": name, **{key: value for key, value in own.items() if key != "groups"}}, problems


def _indexed(content: _File, cards: dict[str, Card]) -> CardTable:
    by_name: dict[str, Card] = {}
    by_pci_id: dict[int, tuple[Card, ...]] = {}
    for card in cards.values():
        by_name |= dict.fromkeys(map(folded, card.names.value), card)
        for number in (int(text, 16) for text in card.pci_ids.value):
            by_pci_id[number] = (*by_pci_id.get(number, ()), card)
    return CardTable(
        MappingProxyType(cards),
        MappingProxyType(content.sources),
        content.session_cap,
        content.suggestions,
        MappingProxyType(by_name),
        MappingProxyType(by_pci_id),
    )


def _unknown_sources(document: Document, content: _File) -> list[Problem]:
    return [
        _problem(document, trail, f"no source `{name}`", did_you_mean(name, content.sources))
        for section in _WITH_SOURCES
        for trail, name in _named_sources(document.data.get(section), (section,))
        if name not in content.sources
    ]


def _named_sources(data: Any, trail: Trail) -> Iterator[tuple[Trail, str]]:
    match data:
        case dict():
            for key, value in data.items():
                if key == "source":
                    names = value if isinstance(value, list) else [value]
                    yield from (((*trail, key), str(name)) for name in names)
                else:
                    yield from _named_sources(value, (*trail, key))
        case list():
            for index, value in enumerate(data):
                yield from _named_sources(value, (*trail, index))


def _locator(document: Document, *start: str) -> Locate:
    def locate(path: Trail, at_key: bool) -> Origin:
        place = document.place
        for key in (*start, *path):
            if key not in place.children:
                break
            place = place.children[key]
        line, column = (place.key_line, place.key_column) if at_key else (place.line, place.column)
        return Origin("", document.file, line, column)

    return locate


def _problem(document: Document, trail: Trail, message: str, hint: str) -> Problem:
    place = document.place
    for key in trail:
        place = place.children[key]
    return Problem(document.file, place.line, place.column, message, hint, dotted(trail))
