"""Declared cards against what else is declared for them: what cannot work, and what will not be what it seems."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from livefleet.spec.ai import ModelEntry, Pipeline
from livefleet.spec.card import Card
from livefleet.spec.cards import card_table
from livefleet.spec.explain import dotted
from livefleet.spec.node import NodeSpec
from livefleet.spec.problem import Problem, did_you_mean
from livefleet.spec.profile import Origin, Origins, Trail

__all__ = ["card_warnings", "check_cards"]

DIFFUSION: Final = frozenset(
    {Pipeline.TEXT_TO_IMAGE, Pipeline.IMAGE_TO_IMAGE, Pipeline.IMAGE_TO_VIDEO, Pipeline.UPSCALE}
)
_RENDITIONS = 3  # of a usual stream; each takes one encoder session

Say = Callable[[Trail, str, str], Problem]


def check_cards(node: NodeSpec, origins: Origins) -> Iterator[Problem]:
    """What cannot work on the declared cards. Nothing is said where none are declared, or none are used."""
    if not node.cards:
        return
    say = _sayer(origins)
    known = card_table().cards
    for index, name in enumerate(node.cards):
        if name not in known:
            hint = did_you_mean(name, known) or "`livefleet profiles list` has them all"
            yield say(("cards", index), f"no card `{name}` is known", hint)
    cards = [known[name] for name in node.cards if name in known]
    if node.gpus == "none" or len(cards) < len(node.cards):
        return
    yield from _diffusion(node, cards, say)
    yield from _encoders(node, cards, say)
    for card in cards:
        yield from _driver(node, card, say)


def card_warnings(node: NodeSpec, origins: Origins) -> Iterator[Problem]:
    """What may disappoint: more encoder sessions than the driver gives, models that are too large."""
    known = card_table().cards
    cards = [known[name] for name in node.cards if name in known]
    if not cards or node.gpus == "none":
        return
    say = _sayer(origins)
    yield from _sessions(node, cards, say)
    yield from _memory(node, cards, say)


def _diffusion(node: NodeSpec, cards: Sequence[Card], say: Say) -> Iterator[Problem]:
    if not all(card.is_gtx for card in cards):
        return
    for index, model in enumerate(node.models):
        if _on_a_card(model) and model.pipeline in DIFFUSION:
            message = (
                f"`{model.model_id}` makes pictures, and {_titles(cards)} is a card for video: without tensor cores a"
                " picture takes so long that gateways turn away"
            )
            hint = "take the model away, give it `device: cpu`, or name other `cards`"
            yield say(("models", index), message, hint)


def _encoders(node: NodeSpec, cards: Sequence[Card], say: Say) -> Iterator[Problem]:
    duty = node.duties.transcoding
    if duty is None or duty.encoder == "software" or not all(card.has_no_encoder for card in cards):
        return
    hint = "take the duty away, or set `encoder: software` or `gpus: none` to transcode on the CPU"
    yield say(("duties", "transcoding"), f"{_titles(cards)} has no encoder (NVENC)", hint)


def _driver(node: NodeSpec, card: Card, say: Say) -> Iterator[Problem]:
    driver = node.driver
    if not driver.install:
        return
    family = card.architecture.value
    if driver.families and family not in driver.families:
        message = f"{card.title} is {family}, and the driver is declared for {', '.join(driver.families)}"
        yield say(("driver", "families"), message, f"add `{family}`, or take `families` away")
    branch, place = driver.wanted_branch, ("driver", "branch" if driver.version is None else "version")
    last, first = card.last_branch, card.first_branch
    if branch is not None and last is not None and isinstance(last.value, int) and branch > last.value:
        yield say(place, f"branch {branch} does not drive {card.title} any more", f"{last.value} is the last that does")
    if branch is not None and first is not None and branch < first.value:
        yield say(place, f"branch {branch} does not drive {card.title} yet", f"{first.value} is the first that does")
    modules = card.kernel_modules
    if driver.flavour != "auto" and modules is not None and driver.flavour not in modules.value:
        message = f"the {driver.flavour} kernel modules do not drive {card.title}"
        yield say(("driver", "flavour"), message, f"write {modules.value[0]}")


def _sessions(node: NodeSpec, cards: Sequence[Card], say: Say) -> Iterator[Problem]:
    duty = node.duties.transcoding
    if duty is None or duty.encoder == "software" or isinstance(duty.max_sessions, str):
        return
    if node.driver.session_patch is not None:
        return
    if not all(card.encoder_sessions is not None and card.encoder_sessions.value == "shared" for card in cards):
        return
    cap = card_table().session_cap
    wanted = duty.max_sessions * _RENDITIONS
    if wanted > cap.value:
        others = "".join(f", or {claim.value} by newer documents" for claim in cap.disputed)
        message = (
            f"{duty.max_sessions} streams of {_RENDITIONS} renditions want {wanted} encoder sessions, and the driver"
            f" gives {cap.value} to all {_titles(cards)} of a host together{others}"
        )
        hint = "write `max_sessions: auto` and measure (`livefleet bench transcode --write`), or a smaller number"
        yield say(("duties", "transcoding", "max_sessions"), message, hint)


def _memory(node: NodeSpec, cards: Sequence[Card], say: Say) -> Iterator[Problem]:
    sizes = [size for card in cards if card.memory_gib is not None for size in card.memory_gib.value]
    if not sizes or any(card.memory_gib is None for card in cards):
        return
    for index, model in enumerate(node.models):
        if _on_a_card(model) and model.memory is not None and model.memory > max(sizes) << 30:
            message = f"`{model.model_id}` is declared to need {model.memory / 2**30:.1f} GiB"
            yield say(("models", index, "memory"), f"{message}, and {_titles(cards)} has {max(sizes)} GiB", "")


def _on_a_card(model: ModelEntry) -> bool:
    return model.is_local and model.url is None and model.device != "cpu"


def _titles(cards: Sequence[Card]) -> str:
    return " or ".join(card.title for card in cards)


def _sayer(origins: Origins) -> Say:
    def say(path: Trail, message: str, hint: str) -> Problem:
        origin = origins.nearest(path) or origins.of(("name",)) or Origin("", "", 1, 1)
        return Problem(origin.file, origin.line, origin.column, message, hint, dotted(path))

    return say
