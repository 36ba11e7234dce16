"""The table of cards that comes with livefleet, and finding a card in it by what a host says of itself."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from livefleet.spec.card import Card
from livefleet.spec.card_file import CardTable, folded, read_cards

__all__ = ["CardTable", "card_of", "card_problems", "card_table", "cards"]

_FILE: Final = Path(__file__).with_name("cards.yaml")


@cache
def card_table() -> CardTable:
    """`cards.yaml` beside this file; read at the first call."""
    return read_cards(_FILE)


def cards() -> tuple[Card, ...]:
    """Every card, older ones first."""
    return tuple(card_table().cards.values())


def card_of(seen: str | int) -> Card | None:
    """The card that NVML calls so (`NVIDIA GeForce RTX 3060`), or of that PCI device id.

    None where it is not in the table, where the id is that of several, and for laptops' cards, which have other chips
    under the same number.
    """
    possible = _possible(seen)
    return possible[0] if len(possible) == 1 else None


def card_problems(declared: Sequence[str], present: Iterable[str | int]) -> tuple[str, ...]:
    """What is wrong with a host's cards, a sentence each with what to do. Pure.

    Args:
        declared: Names of cards in the table, any of which will do. Empty: nothing is expected.
        present: What the host has, by NVML's names or PCI device ids. What is not in the table is passed over, since
            nobody can say that it is another card.
    """
    if not declared:
        return ()
    seen = list(present)
    wanted = " or ".join(_title(name) for name in declared)
    if not seen:
        text = (
            f"the host has no NVIDIA card, and {wanted} is declared: look whether it is seated and has power"
            " (`lspci -d 10de:`), or give the host another profile, as `cpu`"
        )
        return (text,)
    possible = [_possible(one) for one in seen]
    others = Counter(
        " or ".join(card.title for card in cards)
        for cards in possible
        if cards and not any(card.card in declared for card in cards)
    )
    if not others:
        return ()
    found = ", ".join(title if count == 1 else f"{count} {title}" for title, count in others.items())
    names = ", ".join(dict.fromkeys(card.card for cards in possible for card in cards))
    text = (
        f"the host has {found}, and {wanted} is declared: give the host the profile of its cards, or declare them:"
        f" `cards: [{names}]`"
    )
    return (text,)


def _possible(seen: str | int) -> tuple[Card, ...]:
    if isinstance(seen, int):
        return card_table().by_pci_id.get(seen, ())
    card = card_table().by_name.get(folded(seen))
    return () if card is None else (card,)


def _title(name: str) -> str:
    card = card_table().cards.get(name)
    return name if card is None else card.title
