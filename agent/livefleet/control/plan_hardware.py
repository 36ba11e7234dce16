"""Declared GPUs and driver against what a host was seen to have. Pure."""

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

from livefleet.control.events import SeenHardware
from livefleet.spec import DriverSettings, NodeSpec, card_problems

__all__ = ["HardwareFinding", "hardware_findings"]

_UNTOLD = "?"  # stands in the UUID of a card that nothing has used since the driver was loaded


class HardwareFinding(BaseModel):
    """One thing about a host's hardware that is not as declared, or that cannot be told."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    host: str
    kind: Literal["missing", "undeclared", "driver", "unseen", "card"]
    subject: str
    """A UUID, `driver`, or `cards`."""

    text: str
    differs: bool
    """Whether it is a difference; the rest is only worth knowing."""


def hardware_findings(host: str, node: NodeSpec, seen: SeenHardware) -> list[HardwareFinding]:
    """In a stable order: driver, what cards they are, declared cards, others."""
    return [
        *(_found(host, "driver", "driver", text) for text in _driver(node, seen)),
        *(_found(host, "card", "cards", text) for text in _cards(node, seen)),
        *_declared(host, node, seen),
        *_undeclared(host, node, seen),
    ]


def _driver(node: NodeSpec, seen: SeenHardware) -> Iterator[str]:
    declared = node.driver
    if node.gpus == "none" or not seen.devices:
        return
    if not seen.driver:
        cause = "apply installs it" if declared.install else "`driver.install` is false"
        yield f"{seen.devices} NVIDIA device(s), and no driver is loaded ({cause})"
        return
    if declared.install and (text := _other_than_declared(declared, seen.driver)):
        yield text
    if declared.min_version is not None and _numbers(seen.driver) < _numbers(declared.min_version):
        yield f"{seen.driver} is loaded, older than the declared minimum {declared.min_version}"


def _cards(node: NodeSpec, seen: SeenHardware) -> tuple[str, ...]:
    """Cards of another kind than is declared, as the driver names them; without one only that there are none."""
    if node.gpus == "none":
        return ()
    named = [gpu.model for gpu in seen.gpus if node.gpus == "all" or gpu.uuid in node.gpus]
    return card_problems(node.cards, named) if named or not seen.devices else ()


def _other_than_declared(declared: DriverSettings, loaded: str) -> str:
    if declared.version is not None and loaded != declared.version:
        return f"{loaded} is loaded, declared is {declared.version}"
    if declared.branch is not None and _numbers(loaded)[:1] != (declared.branch,):
        return f"{loaded} is loaded, declared is branch {declared.branch}"
    return ""


def _declared(host: str, node: NodeSpec, seen: SeenHardware) -> Iterator[HardwareFinding]:
    wanted = node.gpus if isinstance(node.gpus, tuple) else ()
    uuids = {gpu.uuid for gpu in seen.gpus}
    for uuid in wanted:
        if uuid in uuids:
            continue
        if uuid.startswith("MIG-"):
            yield _found(host, "unseen", uuid, "a part of a card; the agent finds it", differs=False)
        elif seen.devices and (not seen.driver or any(_UNTOLD in known for known in uuids)):
            yield _found(host, "unseen", uuid, "no driver tells the cards' UUIDs yet", differs=False)
        else:
            present = ", ".join(sorted(uuids)) or "none"
            yield _found(host, "missing", uuid, f"declared but not present; present: {present}")
    whole = [uuid for uuid in wanted if uuid.startswith("GPU-")]
    if not seen.driver and seen.devices and len(whole) > seen.devices:
        text = f"{len(whole)} card(s) declared, {seen.devices} on the PCI bus"
        yield _found(host, "missing", "cards", text)


def _undeclared(host: str, node: NodeSpec, seen: SeenHardware) -> Iterator[HardwareFinding]:
    if node.gpus == "all":
        return
    declared = () if node.gpus == "none" else node.gpus
    for gpu in seen.gpus:
        if gpu.uuid not in declared and _UNTOLD not in gpu.uuid:
            text = f"{gpu.model or 'a card'} is present and not declared; livefleet leaves it alone"
            yield _found(host, "undeclared", gpu.uuid, text, differs=False)


def _found(
    host: str,
    kind: Literal["missing", "undeclared", "driver", "unseen", "card"],
    subject: str,
    text: str,
    *,
    differs: bool = True,
) -> HardwareFinding:
    return HardwareFinding(host=host, kind=kind, subject=subject, text=text, differs=differs)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
