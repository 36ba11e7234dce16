"""What every reader of a source takes and gives."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from livefleet.control.importer.companions import Companions
from livefleet.control.importer.findings import Finding, Outcome, Spot
from livefleet.control.importer.process import Process
from livefleet.control.importer.words import Dialect, Word, split_commands

__all__ = [
    "Reading",
    "Source",
    "arguments_of",
    "assignments",
    "host_name",
    "image_findings",
    "is_livepeer_image",
    "other_image",
    "other_program",
    "program_at",
    "unread_file",
]

_LIVEPEER: Final = frozenset({"livepeer", "livepeer.exe", "go-livepeer"})
_WRAPPERS: Final = frozenset({"sudo", "exec", "nohup", "env", "nice", "time", "tini", "dumb-init", "stdbuf", "--"})
_SHELLS: Final = frozenset({"sh", "bash", "dash", "ash", "zsh"})
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_POOL: Final = (
    "a pool's own worker program, not go-livepeer: where the pool takes go-livepeer's transcoders as well, declare "
    "`role: worker` with its address and secret"
)
_OTHERS: Final[Mapping[str, str]] = {
    "titan": _POOL,
    "videominer": _POOL,
    "livepool": _POOL,
    "openpool": "a pool manager: it pays workers, and is no node; the fleet's own books are `livefleet report`",
    "openpool-manager": "a pool manager: it pays workers, and is no node; the fleet's own books are `livefleet report`",
    "livepeer_cli": "a console, no node; `livefleet chain` and `livefleet status` take its place",
    "livepeer_bench": "a measurement, no node; `livefleet bench transcode` takes its place",
}
_OTHER_IMAGES: Final[Mapping[str, str]] = {
    "livepeer/monitoring": "a monitoring stack, no node: point its Prometheus at each host's `monitoring.admin_listen`",
    "livepeer-exporter": "an exporter, no node: the agent serves the same figures at `monitoring.admin_listen`",
    "dcgm-exporter": "an exporter, no node: the agent serves each GPU's figures at `monitoring.admin_listen`",
    "node-exporter": "an exporter, no node: it stays as it is",
    "prom/prometheus": "monitoring, no node: point it at each host's `monitoring.admin_listen`",
    "grafana/": "monitoring, no node: it stays as it is",
    "livepeer-ollama-runner": (
        "a runner before Ollama: it can stay, as the `url` of a model entry; or name Ollama itself there, with "
        "`source: ollama:NAME:TAG`"
    ),
    "ollama/ollama": "Ollama: it stays; name it as `url` of a model entry, with `source: ollama:NAME:TAG`",
    "ai-runner": "a runner of AI models: it can stay, as the `url` of a model entry; the agent runs models itself too",
    "orchestratorsiphon": "a key machine: declare a host of the role keykeeper in its place",
    "titan": _POOL,
    "livepool": _POOL,
    "videominer": _POOL,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """One text to be read."""

    shown: str  # its name in messages
    text: str = field(repr=False)
    folder: Path  # where relative names in it begin
    companions: Companions = field(repr=False)
    machine: str = ""  # the same text: one machine

    def start(self, line: int = 1, column: int = 1) -> Spot:
        """A place in it."""
        return Spot(self.shown, line, column)

    def locate(self, index: int) -> Spot:
        """Where the character at an index stands."""
        head = self.text[:index]
        return Spot(self.shown, head.count("\n") + 1, index - head.rfind("\n"))


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source holds."""

    processes: tuple[Process, ...] = ()
    findings: tuple[Finding, ...] = ()


def program_at(words: Sequence[Word]) -> int | None:
    """The index of go-livepeer's own name in a command; -1 where only its flags are given; None: another command."""
    if words and words[0].text.startswith("-") and len(words[0].text) > 1:
        return -1
    for index, word in enumerate(words):
        name = PurePosixPath(word.text).name
        if name in _LIVEPEER:
            return index
        is_passed = name in _WRAPPERS or re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*=.*", word.text, re.DOTALL)
        if not is_passed and not (index and word.text.startswith("-")):
            return None
    return None


def other_program(words: Sequence[Word], process: str = "") -> Finding | None:
    """What to say of a command that starts a related program."""
    for word in words:
        name = PurePosixPath(word.text).name
        if name in _OTHERS:
            return Finding(word.spot, Outcome.NO_COUNTERPART, name, _OTHERS[name], process)
        if name not in _WRAPPERS and "=" not in word.text:
            return None
    return None


def arguments_of(words: Sequence[Word], known: Mapping[str, Word], source: Source) -> tuple[Word, ...] | None:
    """go-livepeer's arguments in a command, through `sh -c` too. None: it starts something else."""
    at = program_at(words)
    if at is not None:
        return tuple(words[at + 1 :])
    names = [PurePosixPath(word.text).name for word in words]
    shell = next((index for index, name in enumerate(names) if name in _SHELLS), None)
    option = next((index for index, name in enumerate(names) if re.fullmatch(r"-[a-z]*c", name)), None)
    if shell is None or option is None or option + 1 >= len(words):
        return None
    script = words[option + 1]
    holes = {hole.name: Word((hole,), script.spot) for hole in script.holes}
    for command in split_commands(script.text, lambda _: script.spot, Dialect.SHELL, {**known, **holes}):
        _, rest = assignments(command)
        at = program_at(rest)
        if at is not None:
            return tuple(_found_in(source, script.spot, rest[at + 1 :]))
    return None


def _found_in(source: Source, begin: Spot, words: Sequence[Word]) -> Iterator[Word]:
    """Words of a text within the source, each where it stands there."""
    lines = source.text.splitlines(keepends=True)
    at = sum(map(len, lines[: begin.line - 1])) + begin.column - 1
    for word in words:
        first = next((part for part in word.parts if isinstance(part, str)), "")
        found = source.text.find(first, at) if first else -1
        if found >= 0:
            at = found + len(first)
        yield Word(word.parts, source.locate(found) if found >= 0 else begin)


def assignments(command: Sequence[Word]) -> tuple[dict[str, Word], list[Word]]:
    """`A=1 B=2` before a command, and the command."""
    found: dict[str, Word] = {}
    for index, word in enumerate(command):
        name, value = word.cut("=")
        if value is None or name.known is None or not _NAME.fullmatch(name.known):
            return found, list(command[index:])
        found[name.known] = Word(value.parts, word.spot)
    return found, []


def is_livepeer_image(image: str) -> bool:
    """Whether a container of it runs go-livepeer."""
    name = image.rpartition("@")[0] or image
    name = re.sub(r":[^/:]*$", "", name)
    return PurePosixPath(name).name in ("go-livepeer", "livepeer")


def other_image(image: str, spot: Spot, process: str) -> Finding | None:
    """What to say of a container that runs something related."""
    lowered = image.lower()
    text = next((text for name, text in _OTHER_IMAGES.items() if name in lowered), None)
    return None if text is None else Finding(spot, Outcome.NO_COUNTERPART, process, text, process)


def image_findings(
    image: str, spot: Spot, process: str, *, privileged: Spot | None, socket: Spot | None
) -> list[Finding]:
    """What is dangerous about how a container is run."""
    findings = []
    tag = (
        image.rpartition("@")[2]
        if "@" in image
        else image.rpartition(":")[2]
        if ":" in image.rpartition("/")[2]
        else ""
    )
    if tag in ("", "latest", "master", "edge"):
        text = f"`{image}` is another program after each pull: nobody decides when it changes"
        findings.append(Finding(spot, Outcome.DANGEROUS, "image", text, process))
    if privileged is not None:
        text = "a privileged container is root on the machine; the agent runs as a user of its own with the GPUs alone"
        findings.append(Finding(privileged, Outcome.DANGEROUS, "privileged", text, process))
    if socket is not None:
        text = "who has docker's socket is root on the machine; the agent needs no docker"
        findings.append(Finding(socket, Outcome.DANGEROUS, "docker.sock", text, process))
    return findings


def unread_file(path: str, spot: Spot, process: str) -> Finding:
    """What to say of a file of variables that is not to be had here."""
    text = f"`{path}` cannot be read here: name it as a further source, else what it says is missing"
    return Finding(spot, Outcome.TO_DO, PurePosixPath(path).name, text, process)


def host_name(text: str) -> str:
    """A name that a host can have."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:63]
    return name if name and name[0].isalnum() else "node"
