"""What is known of a card, in words and as a document."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from livefleet.spec import Card, Known, card_table

__all__ = ["card_document", "card_lines", "source_lines"]

_WORDS: Final = {
    "names": "called by NVML",
    "pci_ids": "PCI device ids",
    "chips": "chips",
    "architecture": "architecture",
    "compute_capability": "compute capability",
    "memory_gib": "memory, GiB",
    "gpus": "GPUs on a card",
    "encoders": "encoders (NVENC)",
    "encoder_generation": "their generation",
    "encoder_sessions": "encoder sessions",
    "decoders": "decoders (NVDEC)",
    "av1_encode": "encodes AV1",
    "av1_decode": "decodes AV1",
    "ecc": "memory with ECC",
    "row_remapping": "remaps rows",
    "mig_instances": "MIG instances",
    "first_branch": "oldest driver branch",
    "last_branch": "newest driver branch",
    "kernel_modules": "kernel modules",
}
_ONLY_WHERE_SEVERAL: Final = "gpus"


def card_lines(card: Card) -> Iterator[str]:
    """For people: values with the names of their sources, what is disputed, what is unknown, suggestions."""
    yield f"{card.title} ({card.card})"
    facts = {name: known for name, known in card.facts().items() if known is not None}
    width = max(map(len, _WORDS.values()))
    for name, known in facts.items():
        yield f"  {_WORDS[name]:<{width}}  {_text(name, known.value)}{_of(known)}"
        for claim in known.disputed:
            yield f"  {'':<{width}}  disputed: {_text(name, claim.value)}{_of(claim)}"
    unknown = [_WORDS[name] for name in card.facts() if name not in facts and name != _ONLY_WHERE_SEVERAL]
    if unknown:
        yield f"  unknown, for want of a source: {', '.join(unknown)}"
    yield from _suggestions(card)


def source_lines(cards: Sequence[Card]) -> Iterator[str]:
    """The sources that these cards' values name."""
    table = card_table()
    named = {name for card in cards for known in card.facts().values() if known is not None for name in _sources(known)}
    named |= {name for known in _general(cards) for name in _sources(known)}
    yield "sources"
    for name in sorted(named):
        source = table.sources[name]
        note = f" ({source.note})" if source.note else ""
        yield f"  {name}: {source.title}{note}: {source.url}"


def card_document(card: Card) -> dict[str, Any]:
    """For machines: all of it, sources spelled out."""
    table = card_table()
    facts = card.facts()
    general = list(_general([card]))
    named = {name for known in (*facts.values(), *general) if known is not None for name in _sources(known)}
    return {
        "card": card.card,
        "title": card.title,
        "facts": {name: known.model_dump(mode="json", exclude_none=True) for name, known in facts.items() if known},
        "unknown": [name for name, known in facts.items() if known is None and name != _ONLY_WHERE_SEVERAL],
        "session_cap": table.session_cap.model_dump(mode="json", exclude_none=True) if _is_capped(card) else None,
        "suggestions": {
            "ladder": list(table.suggestions.ladder_for(card)),
            "models": [
                model.model_dump(mode="json", exclude_none=True) for model in table.suggestions.models_for(card)
            ],
        },
        "sources": {name: table.sources[name].model_dump(mode="json", exclude_none=True) for name in sorted(named)},
    }


def _suggestions(card: Card) -> Iterator[str]:
    table = card_table()
    if _is_capped(card):
        cap = table.session_cap
        others = "".join(f"; disputed: {claim.value}{_of(claim)}" for claim in cap.disputed)
        yield f"  the driver gives {cap.value} encoder sessions to all such cards of a host together{_of(cap)}{others}"
    ladder = table.suggestions.ladder_for(card)
    if ladder:
        profiles = " ".join(f"--profile {rendition}" for rendition in ladder)
        yield f"  suggested ladder{_of(table.suggestions.ladder)}: livefleet bench transcode {profiles}"
    models = table.suggestions.models_for(card)
    if models:
        yield "  suggested models, each by itself; what they need is measured on the host:"
    for model in models:
        yield f"    {model.pipeline}: {model.model_id}, {model.memory_gib.value} GiB{_of(model.memory_gib)}"
    if card.is_gtx:
        yield "  no models are suggested: a GTX has no tensor cores, and pictures are refused on it"


def _general(cards: Sequence[Card]) -> Iterator[Known[Any]]:
    """What is said of these cards together with others."""
    table = card_table()
    if any(_is_capped(card) for card in cards):
        yield table.session_cap
    if any(table.suggestions.ladder_for(card) for card in cards):
        yield table.suggestions.ladder
    yield from (model.memory_gib for card in cards for model in table.suggestions.models_for(card))


def _is_capped(card: Card) -> bool:
    return card.encoder_sessions is not None and card.encoder_sessions.value == "shared"


def _sources(known: Known[Any]) -> set[str]:
    return {*known.source, *(name for claim in known.disputed for name in claim.source)}


def _of(known: Any) -> str:
    note = f"; {known.note}" if known.note else ""
    return f" [{', '.join(known.source)}{note}]"


def _text(name: str, value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ", ".join(map(str, value))
        case "shared":
            return "counted by the driver, with those of other such cards in the host"
        case "unlimited":
            return "not counted by the driver"
        case "current":
            return "not dropped"
        case 0 if name == "mig_instances":
            return "none"
    return str(value)
