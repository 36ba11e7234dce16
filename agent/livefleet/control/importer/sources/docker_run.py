"""`docker run ...` and `podman run ...` as words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from livefleet.control.importer.findings import Finding, Spot
from livefleet.control.importer.process import Container, Mount, PlaceKind, Port, Process
from livefleet.control.importer.sources.base import (
    Reading,
    Source,
    arguments_of,
    host_name,
    image_findings,
    is_livepeer_image,
    other_image,
    program_at,
    unread_file,
)
from livefleet.control.importer.sources.env_file import parse_env
from livefleet.control.importer.words import Hole, HoleKind, Word, literal

__all__ = ["gpu_uuids", "is_docker_run", "parse_port", "read_docker_run"]

_ALONE: Final = frozenset({
    "d", "detach", "i", "interactive", "t", "tty", "rm", "privileged", "init", "read-only", "P", "publish-all",
    "no-healthcheck", "oom-kill-disable", "sig-proxy", "disable-content-trust", "q", "quiet", "help", "replace",
})  # fmt: skip
_LONG: Final = {"v": "volume", "e": "env", "p": "publish", "h": "hostname", "w": "workdir", "u": "user", "m": "memory"}
_SOCKET: Final = "docker.sock"


@dataclass(slots=True)
class _Options:
    environment: dict[str, Word] = field(default_factory=dict)
    mounts: list[Mount] = field(default_factory=list)
    ports: list[Port] = field(default_factory=list)
    gpus: tuple[str, ...] = ()
    all_gpus: bool = False
    name: str = ""
    network: str = ""
    entrypoint: Word | None = None
    privileged: Spot | None = None
    socket: Spot | None = None
    unread: list[Word] = field(default_factory=list)  # files of variables


def is_docker_run(words: Sequence[Word]) -> bool:
    """Whether a command runs a container."""
    names = [PurePosixPath(word.text).name for word in words[:8]]
    engine = next((index for index, name in enumerate(names) if name in ("docker", "podman")), None)
    return engine is not None and "run" in names[engine + 1 : engine + 4]


def read_docker_run(words: Sequence[Word], source: Source, shell: Mapping[str, Word]) -> Reading:
    """The process in the container, if it is go-livepeer."""
    rest = list(words[next(i for i, word in enumerate(words) if word.text == "run") + 1 :])
    options = _Options()
    while rest and rest[0].text.startswith("-") and len(rest[0].text) > 1:
        _option(rest, options, source, shell)
    if not rest:
        return Reading()
    image = rest.pop(0)
    name = host_name(options.name or PurePosixPath(image.text.partition(":")[0]).name)
    arguments = arguments_of(rest, options.environment, source)
    if not is_livepeer_image(image.text) and (arguments is None or program_at(rest) == -1):
        other = other_image(image.text, image.spot, name)
        return Reading(findings=(other,) if other is not None else ())
    container = Container(
        image=image.text,
        image_spot=image.spot,
        host_network=options.network == "host",
        ports=tuple(options.ports),
        gpus=options.gpus,
        all_gpus=options.all_gpus,
    )
    findings: list[Finding] = image_findings(
        image.text, image.spot, name, privileged=options.privileged, socket=options.socket
    )
    findings += [unread_file(word.text, word.spot, name) for word in options.unread]
    process = Process(
        name=name,
        machine=source.machine,
        spot=words[0].spot,
        kind="docker run",
        arguments=tuple(rest) if arguments is None else arguments,
        environment=options.environment,
        folder=source.folder,
        mounts=tuple(options.mounts),
        container=container,
        names=frozenset({options.name} - {""}),
        findings=tuple(findings),
    )
    return Reading((process,))


def parse_port(text: str, spot: Spot) -> list[Port]:
    """`8936:8935`, `127.0.0.1:7935:7935/tcp`, `7000-7002:7000-7002`."""
    address, _, inside = text.partition("/")[0].rpartition(":")
    address, _, outside = address.rpartition(":")
    if not outside:
        return []  # a port of the container alone: the machine chooses any
    first_in, _, last_in = inside.partition("-")
    first_out, _, _ = outside.partition("-")
    if not (first_in.isdigit() and first_out.isdigit()):
        return [Port(inside, outside, address, spot)]
    last = int(last_in) if last_in.isdigit() else int(first_in)
    shift = int(first_out) - int(first_in)
    return [
        Port(str(port), str(port + shift), address, spot)
        for port in range(int(first_in), min(last, int(first_in) + 99) + 1)
    ]


def gpu_uuids(text: str) -> tuple[str, ...]:
    """UUIDs in `device=GPU-...,GPU-...`."""
    words = text.strip("\"'").removeprefix("device=").split(",")
    return tuple(word.strip("\"' ") for word in words if word.strip("\"' ").startswith(("GPU-", "MIG-")))


def _option(rest: list[Word], options: _Options, source: Source, shell: Mapping[str, Word]) -> None:
    word = rest.pop(0)
    head, value = word.cut("=")
    name = head.text.lstrip("-")
    if not word.text.startswith("--") and len(name) > 1:  # `-it`, `-eA=b`
        if all(letter in _ALONE for letter in name):
            return
        glued = Word((word.text[2:],), word.spot) if word.known is not None else None
        name, value = name[0], glued or value
    name = _LONG.get(name, name)
    if name in _ALONE:
        if name == "privileged" and (value is None or value.text == "true"):
            options.privileged = word.spot
        return
    if value is None:
        if not rest:
            return
        value = rest.pop(0)
    _take(name, value, options, source, shell)


def _take(name: str, value: Word, options: _Options, source: Source, shell: Mapping[str, Word]) -> None:
    match name:
        case "env":
            variable, text = value.cut("=")
            hole = Word((Hole(HoleKind.VARIABLE, variable.text),), value.spot)
            said = text if text is not None else shell.get(variable.text, hole)
            options.environment[variable.text] = Word(said.parts, value.spot)
        case "env-file":
            found = source.companions.beside(source.folder, value.text)
            if found is None:
                options.unread.append(value)
            else:
                options.environment = {**parse_env(found.text, found.shown), **options.environment}
        case "volume":
            _volume(value, options)
        case "mount":
            fields = dict(part.partition("=")[::2] for part in value.text.split(","))
            inside = fields.get("target") or fields.get("dst") or fields.get("destination") or ""
            outside = fields.get("source") or fields.get("src") or ""
            _volume(literal(f"{outside}:{inside}", value.spot), options)
        case "publish":
            options.ports += parse_port(value.text, value.spot)
        case "gpus":
            options.gpus, options.all_gpus = gpu_uuids(value.text), value.text == "all"
        case "name":
            options.name = value.text
        case "network" | "net":
            options.network = value.text
        case "entrypoint":
            options.entrypoint = value
        case _:
            pass


def _volume(value: Word, options: _Options) -> None:
    outside, _, rest = value.text.partition(":")
    inside = rest.partition(":")[0] or outside
    if outside.endswith(_SOCKET):
        options.socket = value.spot
    is_path = outside.startswith(("/", ".", "~", "$"))
    place = outside if is_path else f"/var/lib/docker/volumes/{outside}/_data"
    kind = PlaceKind.HERE if outside.startswith(".") else PlaceKind.HOST
    options.mounts.append(Mount(inside, place, kind))
