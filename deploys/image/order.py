"""What is asked for, resolved and judged before anything is made: the profile, the driver, the first boot."""

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from deploys.drivers import FAMILIES, TorchBuild
from deploys.facts import DriverFacts, Observed, SafetyFacts
from deploys.image.bases import AptSource, Base
from deploys.image.secret_words import secrets_in
from deploys.steps import Wish, driver_problems, wish_of
from deploys.steps.torch import TorchChoice, torch_for
from livefleet.kernel import BadInput
from livefleet.spec import (
    FirewallSettings,
    Fleet,
    ImageFormat,
    MachineSettings,
    NodeSpec,
    card_table,
    extras_of,
    load_fleet,
    own_profiles,
    resolve_profile,
)
from livefleet.spec.enrol import FirstBoot, FirstBootMode
from livefleet.spec.profile import over

__all__ = ["ImageOrder", "Resolved", "facts_of", "resolve"]

_MACHINE: Final = "x86_64"
_NAME: Final = "image"  # of the host that stands for all that will start from it; no host ever gets it
_HARDWARE: Final = ("cards", "driver", "gpus", "service")
"""Settings that an image takes from profile and defaults; all others a host is told when it enrols."""

_CONSOLE: Final = re.compile(r"(?:tty[A-Za-z]{0,5}[0-9]{1,3}|hvc[0-9])(?:,[0-9]{1,7}[noe]?[5-8]?r?)?")
_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9+.-]+")

_STANDS_FOR: Final[Mapping[str, Any]] = {
    "worker": {"worker": {"orchestrator": "image.invalid:1", "secret": _NAME}},
    "orchestrator": {"orchestrator": {"service_uri": "https://image.invalid:8935"}},
}


@dataclass(frozen=True, slots=True)
class ImageOrder:
    """What an operator asks for."""

    profiles: tuple[str, ...]  # the later wins, as in a host's `profile`
    base: Base
    sources: tuple[AptSource, ...]
    format: ImageFormat
    out: Path
    first_boot: FirstBoot
    fleet: Path | None = None
    duties: tuple[str, ...] = ()  # empty: the profile's
    authorized_keys: tuple[str, ...] = ()  # public ones that may log in as root
    epoch: int | None = None  # None: of the newest package source
    size_mib: int | None = None  # None: what is needed, and some room
    kernel: str | None = None  # a metapackage of `base.kernels`; None: the first, where one is needed
    packages: tuple[str, ...] = ()  # of the distribution's, beside those that every image has
    consoles: tuple[str, ...] = ()  # of a disk's kernel, the last leads; empty: CONSOLES

    @property
    def profile(self) -> str:
        """For people."""
        return ", ".join(self.profiles)

    @property
    def name(self) -> str:
        """Of the file, without its ending."""
        kernel = (self.kernel or self.base.kernels[0]).removeprefix("linux-image-")
        return f"{'+'.join(self.profiles)}-{self.base.suite}-{kernel}"


@dataclass(frozen=True, slots=True)
class Resolved:
    """The order, judged: nothing in it is known not to work."""

    order: ImageOrder
    node: NodeSpec = field(repr=False)  # that of no host: role, transcoding, driver, unit
    loads_models: bool  # the duty `ai`, whose models a host is told later
    machine: MachineSettings
    firewall: FirewallSettings
    fleet: str | None
    profile_text: str  # what the profile comes to
    first_boot_text: str
    wish: Wish | None  # None: no driver

    @property
    def extras(self) -> frozenset[str]:
        """What the agent's environment carries. Whose host it becomes is told at first boot, and nobody installs then.

        A fleet's own may be given any role, a pool's worker is nothing else.
        """
        is_fleets = self.order.first_boot.mode is FirstBootMode.FLEET
        by_duty = {"ai"} if self.loads_models else set()
        return extras_of(self.node) | by_duty | {"pull"} | ({"chain"} if is_fleets else set())

    @property
    def torch(self) -> TorchBuild:
        """The build of PyTorch for these cards and this driver."""
        return _torch(self.wish).build

    @property
    def has_kernel(self) -> bool:
        """A tar without a driver is for machines that have a kernel: containers, network boot."""
        order = self.order
        return order.format is not ImageFormat.ROOTFS_TAR or self.wish is not None or order.kernel is not None

    @property
    def packages(self) -> tuple[str, ...]:
        """What the distribution is asked for."""
        order, base = self.order, self.order.base
        boots_by = base.boots_by if order.format is ImageFormat.DISK else ()
        kernel = (order.kernel or base.kernels[0],) if self.has_kernel else ()
        return tuple(sorted({*base.packages, *boots_by, *kernel, *order.packages}))

    @property
    def profile_sha256(self) -> str:
        """Of `profile_text`."""
        return hashlib.sha256(self.profile_text.encode()).hexdigest()

    @property
    def first_boot_sha256(self) -> str:
        """Of `first_boot_text`."""
        return hashlib.sha256(self.first_boot_text.encode()).hexdigest()


def resolve(order: ImageOrder) -> Resolved:
    """Read profile and fleet; refuse what cannot work or must not be in an image. Raises BadInput with all reasons."""
    fleet = None if order.fleet is None else load_fleet(order.fleet)
    merged = _merged(order, fleet)
    node = _node(order, merged, fleet)
    machine = MachineSettings.model_validate(merged.get("machine", {}))
    firewall = FirewallSettings.model_validate(merged.get("firewall", {}))
    told = order.first_boot
    first_boot = FirstBoot.model_validate(
        told.model_dump(mode="json", exclude_unset=True)
        | {"profile": told.profile or order.profiles[-1]}
        | ({"cards": list(told.cards or node.cards)} if told.cards or node.cards else {})
    )
    resolved = Resolved(
        order=order,
        node=node,
        loads_models=(merged.get("duties") or {}).get("ai") is not None,
        machine=machine,
        firewall=firewall,
        fleet=None if fleet is None else fleet.name,
        profile_text=_yaml(_baked(order, merged)),
        first_boot_text=_yaml(first_boot.model_dump(mode="json", exclude_unset=True)),
        wish=_wish(node, order),
    )
    problems = [*_unfit(resolved), *_secrets(resolved)]
    if problems:
        raise BadInput("\n".join(problems))
    return resolved


def _merged(order: ImageOrder, fleet: Fleet | None) -> dict[str, Any]:
    """The profiles, the later over the earlier, over the fleet's defaults. Raises BadInput."""
    own = Path("profiles") if order.fleet is None else order.fleet.parent / "profiles"
    data: Any = {} if fleet is None else fleet.spec.defaults.model_dump(mode="json", exclude_unset=True)
    for name in order.profiles:
        data = over(data, resolve_profile(name, [own, own_profiles()]).data)
    return {**data, **({"duties": {duty: {} for duty in order.duties}} if order.duties else {})}


def _node(order: ImageOrder, merged: Mapping[str, Any], fleet: Fleet | None) -> NodeSpec:
    role = str(merged.get("role", "worker"))
    if role not in _STANDS_FOR:
        raise BadInput(
            f"profile {order.profile} is for a {role}, which has keys or a site of its own and is set up by"
            " `livefleet apply`; images are for orchestrators and workers"
        )
    transcoding = (merged.get("duties") or {}).get("transcoding")
    values = {key: merged[key] for key in _HARDWARE if merged.get(key) is not None}
    values |= {"fleet": _NAME if fleet is None else fleet.name, "name": _NAME, "profile": order.profile, "role": role}
    return NodeSpec.model_validate(values | _STANDS_FOR[role] | {"duties": {"transcoding": transcoding}})


def facts_of(order: ImageOrder, node: NodeSpec, *, kernel: str = "") -> Observed:
    """The image as the steps see a host: bare, with the cards that its profile is for. `kernel`: the one in it."""
    return Observed(
        uid=0,
        user="root",
        machine=_MACHINE,
        kernel=kernel,
        os_id=order.base.os_id,
        os_version=order.base.os_version,
        systemd=True,
        python=tuple(map(int, order.base.python.split("."))),
        nginx=True,
        apt=True,
        sudo=True,
        nvidia_pci=tuple(_cards(node)),
        driver=DriverFacts(),
        safety=SafetyFacts(nft=True),
    )


def _cards(node: NodeSpec) -> Iterator[int]:
    """A device id of each card that the profile names, else of each architecture that it is for."""
    if node.gpus == "none":
        return
    for name in node.cards:
        yield int(card_table().cards[name].pci_ids.value[0], 16)
    for family in FAMILIES if not node.cards else ():
        if family.name in node.driver.families:
            yield family.first_id


def _wish(node: NodeSpec, order: ImageOrder) -> Wish | None:
    facts = facts_of(order, node)
    if not (facts.nvidia_pci and node.driver.install):
        return None
    wish = wish_of(node.driver, facts)
    if isinstance(wish, str):
        raise BadInput(f"profile {order.profile}: {wish}")
    return wish


def _torch(wish: Wish | None) -> TorchChoice:
    if wish is None:
        return torch_for((), "", _MACHINE)
    return torch_for(wish.families, wish.version or str(wish.branch), _MACHINE)


def _unfit(resolved: Resolved) -> Iterator[str]:
    node, order = resolved.node, resolved.order
    for problem in driver_problems(node, facts_of(order, node)):
        yield f"profile {order.profile}: {problem}"
    if resolved.loads_models and (refusal := _torch(resolved.wish).refusal) is not None:
        yield f"profile {order.profile}: {refusal}"
    if node.gpus != "none" and node.driver.install and not tuple(_cards(node)):
        yield (
            f"profile {order.profile} does not say which cards it is for, so that no driver can be chosen: give it"
            " `driver: {families: [...]}`, or `driver: {install: false}` for an image without one"
        )
    if node.driver.session_patch is not None:
        yield f"profile {order.profile}: `session_patch` is made on a host by apply, not in an image: leave it out here"
    if not (node.duties.transcoding or resolved.loads_models):
        yield (
            f"profile {order.profile} has no duty, so that it cannot be told what the agent needs: say --duty"
            " transcoding, --duty ai or both"
        )
    yield from _unknown(order)
    if order.first_boot.profile not in (None, *order.profiles):
        yield f"the first boot is for profile {order.first_boot.profile}, the image for {order.profile}"


def _unknown(order: ImageOrder) -> Iterator[str]:
    if order.kernel is not None and order.kernel not in order.base.kernels:
        yield f"--kernel {order.kernel}: for {order.base.suite} choose among {', '.join(order.base.kernels)}"
    for name in order.packages:
        if _PACKAGE.fullmatch(name) is None:
            yield f"--package {name!r} is no name of a package: write one, as firmware-realtek"
    for console in order.consoles:
        if _CONSOLE.fullmatch(console) is None:
            yield f"--console {console!r} is no console of a kernel: write one, as tty0 or ttyS0,115200"
    if order.consoles and order.format is not ImageFormat.DISK:
        yield f"--console is for a disk; whoever starts a {order.format} gives its kernel a command line"


def _secrets(resolved: Resolved) -> Iterator[str]:
    for what, text in (
        (f"profile {resolved.order.profile} with the fleet's defaults", resolved.profile_text),
        ("the first boot's settings", resolved.first_boot_text),
        *((f"--authorized-key {number}", text) for number, text in enumerate(resolved.order.authorized_keys, 1)),
    ):
        for found in secrets_in(text):
            yield f"{what}: {found}; an image is copied to many places and holds no secret"


def _baked(order: ImageOrder, merged: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in the image of its profile: the merged settings that it was made for."""
    kept = (*_HARDWARE, "duties", "role", "machine", "firewall")
    return {"profile": list(order.profiles)} | {key: merged[key] for key in kept if key in merged}


def _yaml(data: Mapping[str, Any]) -> str:
    out = io.StringIO()
    YAML().dump(json.loads(json.dumps(data)), out)  # plain values, whatever read them
    return out.getvalue()
