"""A host in the making: what is to stand in the fleet file, and what is to be said of every flag."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from livefleet.control.importer.addresses import has_key
from livefleet.control.importer.findings import Finding, Outcome, Spot
from livefleet.control.importer.flags import Fate
from livefleet.control.importer.process import Process
from livefleet.control.importer.secret_book import looks_like_a_path
from livefleet.control.importer.settings import Said, Settings, Source
from livefleet.control.importer.tree import Tree, put

__all__ = ["CHANGE_ME", "Draft", "NodeKind", "kind_of"]

CHANGE_ME: Final = "change-me"
"""Stands where a value has to be that no source says; every place is told as `to do`."""


class NodeKind(StrEnum):
    """What go-livepeer takes a process for. The order of `kind_of` is its own."""

    REDEEMER = "redeemer"
    SIGNER = "remote signer"
    ORCHESTRATOR = "orchestrator"
    TRANSCODER = "transcoder"
    AI_WORKER = "AI worker"
    GATEWAY = "gateway"
    REWARD = "reward node"
    NOTHING = "node without a service"

    @property
    def is_worker(self) -> bool:
        """Whether it works for an orchestrator."""
        return self in (NodeKind.TRANSCODER, NodeKind.AI_WORKER)

    @property
    def is_outside(self) -> bool:
        """Whether it is no part of a fleet."""
        return self in (NodeKind.GATEWAY, NodeKind.SIGNER, NodeKind.NOTHING)


def kind_of(settings: Settings) -> NodeKind:
    """What go-livepeer runs as with these."""
    order = {
        "redeemer": NodeKind.REDEEMER, "remoteSigner": NodeKind.SIGNER, "orchestrator": NodeKind.ORCHESTRATOR,
        "transcoder": NodeKind.TRANSCODER, "aiWorker": NodeKind.AI_WORKER, "broadcaster": NodeKind.GATEWAY,
        "gateway": NodeKind.GATEWAY, "reward": NodeKind.REWARD, "initializeRound": NodeKind.REWARD,
    }  # fmt: skip
    return next((kind for name, kind in order.items() if settings.is_on(name)), NodeKind.NOTHING)


@dataclass(slots=True)
class Draft:
    """One process on its way to being a host."""

    process: Process
    settings: Settings
    kind: NodeKind
    tree: Tree = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    fates: dict[str, Finding] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the process."""
        return self.process.name

    @property
    def on_chain(self) -> bool:
        """Whether it has to do with a chain."""
        return self.settings.text("network", "offchain") != "offchain"

    def get(self, name: str) -> Said | None:
        """What counts for a flag."""
        return self.settings.get(name)

    def on(self, name: str, default: bool = False) -> bool:
        """Whether a flag is on."""
        return self.settings.is_on(name, default)

    def put(self, path: str, value: Any, remark: str = "") -> None:
        """Set a value of the host."""
        put(self.tree, path, value, remark)

    def take(self, said: Said, path: str, value: Any) -> None:
        """Set a value as the flag has it."""
        put(self.tree, path, value, said.origin)
        self.taken(said, path)

    def taken(self, said: Said, path: str) -> None:
        """A flag is taken as it is, into a value that is set elsewhere."""
        self.fate(said, Outcome.TAKEN, path)

    def adapt(self, said: Said, text: str, path: str = "", value: Any = None) -> None:
        """Take a flag otherwise than it is said; `text` says how."""
        if path:
            put(self.tree, path, value, f"{said.origin}: {text}")
        self.fate(said, Outcome.OTHERWISE, f"{path}: {text}" if path else text)

    def leave(self, said: Said, text: str) -> None:
        """Leave a flag out; `text` says why and what to do."""
        self.fate(said, Outcome.NO_COUNTERPART, text)

    def fate(self, said: Said, outcome: Outcome, text: str) -> None:
        """Say what became of a flag; what was said before is kept with it."""
        earlier = self.fates.get(said.flag.name)
        if earlier is not None:
            if text in earlier.text:
                return
            text = f"{earlier.text}; {text}"
            outcome = max(outcome, earlier.outcome, key=list(Outcome).index)
        self.fates[said.flag.name] = Finding(said.spot, outcome, said.shown, text, self.name)

    def danger(self, text: str, said: Said | None = None, *, subject: str = "", spot: Spot | None = None) -> None:
        """Warn."""
        self._say(Outcome.DANGEROUS, text, said, subject, spot)

    def advise(self, text: str, said: Said | None = None, *, subject: str = "") -> None:
        """Say what would be better."""
        self._say(Outcome.ADVICE, text, said, subject, None)

    def to_do(self, text: str, said: Said | None = None, *, subject: str = "", spot: Spot | None = None) -> None:
        """Say what a person has to do before the file is right."""
        self._say(Outcome.TO_DO, text, said, subject, spot)

    def finish(self) -> None:
        """Give every flag that is left its fate."""
        for name, said in self.settings.said.items():
            if said.flag.deprecated:
                text = f"go-livepeer calls it deprecated and wants {said.flag.deprecated}"
                self._say(Outcome.DEPRECATED, text, said, "", None)
            self._warn_of_secret(said)
            if name in self.fates or said.flag.name in self.fates:
                continue
            match said.flag.fate:
                case Fate.EXPLAINED:
                    self.leave(said, said.flag.text)
                case Fate.GATEWAY if self.kind is not NodeKind.GATEWAY:
                    self.leave(said, f"{said.flag.text}; says nothing to go-livepeer as {self.kind} either")
                case _ if self.kind.is_outside:
                    self.leave(said, f"of a {self.kind}, which is no part of a fleet")
                case _ if not said.value.parts:
                    self.leave(said, "it is empty, which go-livepeer takes for not said")
                case _:
                    self.leave(said, f"says nothing to go-livepeer as {self.kind}; nothing to do")

    def _warn_of_secret(self, said: Said) -> None:
        """Of a secret on a command line that no other finding has warned of."""
        is_open = said.flag.secret and said.source is Source.FLAG and self.process.kind not in ("kubernetes", "siphon")
        text = said.value.text
        is_url = "://" in text or said.flag.name == "ethUrl"
        if not is_open or looks_like_a_path(text) or (is_url and not has_key(text)):
            return
        warned = {each.subject for each in self.findings if each.outcome is Outcome.DANGEROUS}
        if said.value.parts and said.shown not in warned:
            self.danger("on the command line every user of the machine can read it in the process list", said)

    @property
    def report(self) -> list[Finding]:
        """Everything that is said of it."""
        return [*self.process.findings, *self.settings.findings, *self.findings, *self.fates.values()]

    def _say(self, outcome: Outcome, text: str, said: Said | None, subject: str, spot: Spot | None) -> None:
        where = spot or (said.spot if said is not None else self.process.spot)
        what = subject or (said.shown if said is not None else self.name)
        self.findings.append(Finding(where, outcome, what, text, self.name))
