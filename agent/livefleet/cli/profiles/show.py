"""`livefleet profiles show NAME`: what a profile says and where, and what is known of its cards and from whom."""

from pathlib import Path

import click

from livefleet.cli.output import console, print_json
from livefleet.cli.profiles.card_words import card_document, card_lines, source_lines
from livefleet.cli.profiles.folders import FLEET, folders_for
from livefleet.spec import Card, ResolvedProfile, card_of, card_table, profile_names, resolve_profile

__all__ = ["command"]


@click.command("show")
@click.argument("name")
@FLEET
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(name: str, fleet: Path, *, as_json: bool) -> None:
    """What the profile NAME says, each value with file:line:column, and what is known of its cards, with sources.

    NAME may also be what NVML calls a card, as 'NVIDIA GeForce RTX 3060'. What no source is known for is said to be
    unknown, and where sources contradict each other both are shown. Suggestions are for you to take up: nothing acts on
    them.
    """
    folders = folders_for(fleet)
    if name not in profile_names(folders) and (card := card_of(name)) is not None:
        name = card.card
    found = resolve_profile(name, folders)
    known = card_table().cards
    cards = [known[card] for card in found.layer.cards or () if card in known]
    if as_json:
        print_json(_document(found, cards))
    else:
        _print(found, cards)


def _document(found: ResolvedProfile, cards: list[Card]) -> dict[str, object]:
    return {
        "profile": found.name,
        "description": found.layer.description,
        "chain": list(found.chain),
        "values": [
            {"path": path, "value": value, "layer": layer, "file": file, "line": line, "column": column}
            for path, value, layer, file, line, column in _values(found)
        ],
        "cards": [card_document(card) for card in cards],
    }


def _print(found: ResolvedProfile, cards: list[Card]) -> None:
    out = console()

    def say(line: str = "") -> None:
        out.print(line, markup=False)

    say(f"{found.name}: {found.layer.description or 'without a description'}")
    if len(found.chain) > 1:
        say(f"builds on {', '.join(found.chain[1:])}")
    rows = [
        (path, _shown(value), f"{layer} ({file}:{line}:{column})")
        for path, value, layer, file, line, column in _values(found)
    ]
    width = max((len(path) for path, _, _ in rows), default=0)
    wide = min(max((len(value) for _, value, _ in rows), default=0), 48)
    for path, value, origin in rows:
        say(f"  {path:<{width}}  {value:<{wide}}  {origin}")
    for card in cards:
        say()
        for line in card_lines(card):
            say(line)
    if cards:
        say()
        for line in source_lines(cards):
            say(line)


def _values(found: ResolvedProfile) -> list[tuple[str, object, str, str, int, int]]:
    """Every value with its path and place, but for the description and what it builds on."""
    data = {key: value for key, value in found.data.items() if key not in ("description", "extends")}
    rows = []
    for path, value, origin in found.origins.leaves(data):
        if origin is not None:
            rows.append((".".join(map(str, path)), value, origin.layer, origin.file, origin.line, origin.column))
    return rows


def _shown(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case None:
            return "off"
        case dict():
            return "on"
    return str(value)
