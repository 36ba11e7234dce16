"""docker compose files: every service that is a node, and what its container is given."""

from collections.abc import Iterator, Mapping
from typing import Final

from livefleet.control.importer.findings import Finding, Outcome, Spot
from livefleet.control.importer.items import Item, read_items
from livefleet.control.importer.process import Container, Mount, PlaceKind, Port, Process
from livefleet.control.importer.sources.base import (
    Reading,
    Source,
    arguments_of,
    host_name,
    image_findings,
    is_livepeer_image,
    other_image,
    other_program,
    unread_file,
)
from livefleet.control.importer.sources.docker_run import parse_port
from livefleet.control.importer.sources.env_file import parse_env
from livefleet.control.importer.words import Dialect, Hole, HoleKind, Word, expand, split_commands

__all__ = ["read_compose"]

_SECRETS: Final = "/run/secrets"


def read_compose(source: Source) -> Reading:
    """Every service."""
    documents = read_items(source.text, source.shown)
    processes: list[Process] = []
    findings: list[Finding] = []
    for document in documents[:1]:
        variables = _variables(source)
        for name, service in document.at("services").fields.items():
            reading = _Service(source, document, name, service, variables).reading()
            processes += reading.processes
            findings += reading.findings
    return Reading(tuple(processes), tuple(findings))


def _variables(source: Source) -> dict[str, Word]:
    found = source.companions.beside(source.folder, ".env")
    return {} if found is None else parse_env(found.text, found.shown)


class _Service:
    """One service."""

    def __init__(self, source: Source, document: Item, name: str, service: Item, variables: Mapping[str, Word]) -> None:
        self._source = source
        self._document = document
        self._key = name
        self._service = service
        self._name = host_name(service.word("container_name") or name)
        self._variables = variables
        self._unread: list[Finding] = []
        self._variables_of_service = self._environment()

    def reading(self) -> Reading:
        environment = self._variables_of_service
        words = [*self._words("entrypoint"), *self._words("command")]
        arguments = arguments_of(words, {**self._variables, **environment}, self._source)
        image = self._text("image")
        image_spot = self._service.at("image").spot
        if not is_livepeer_image(image) and (arguments is None or not self._names_program(words)):
            other = other_image(image, image_spot, self._name) or other_program(words, self._name)
            return Reading(findings=(other,) if other is not None else ())
        if arguments is None:
            arguments = tuple(words)
        findings = self._findings(image, image_spot)
        process = Process(
            name=self._name,
            machine=self._source.machine,
            spot=self._document.at("services").key_spots[self._key],
            kind="compose",
            arguments=arguments,
            environment=environment,
            folder=self._source.folder,
            mounts=tuple(self._mounts()),
            container=self._container(image, image_spot),
            names=frozenset({self._key, self._service.word("container_name"), self._service.word("hostname")} - {""})
            | frozenset(self._aliases()),
            findings=(*findings, *self._unread, *self._elsewhere()),
        )
        return Reading((process,))

    def _findings(self, image: str, spot: Spot) -> list[Finding]:
        privileged = self._service.at("privileged")
        socket = next(
            (
                entry.spot
                for entry in self._service.at("volumes").entries
                if "docker.sock" in (entry.text or entry.word("source"))
            ),
            None,
        )
        return image_findings(
            image, spot, self._name, privileged=privileged.spot if privileged.is_true else None, socket=socket
        )

    def _elsewhere(self) -> Iterator[Finding]:
        """What compose would add from other files."""
        for item, key in ((self._service, "extends"), (self._document, "include")):
            if key in item.fields:
                text = (
                    "what it takes from another file is not read: give `docker compose config`'s output as the source"
                )
                yield Finding(item.key_spots[key], Outcome.TO_DO, key, text, self._name)

    def _names_program(self, words: list[Word]) -> bool:
        return bool(words) and not words[0].text.startswith("-")

    def _words(self, key: str) -> list[Word]:
        item = self._service.at(key)
        if item.is_list:
            return [expand(e.text or "", e.spot, Dialect.COMPOSE, self._variables) for e in item.entries]
        if item.text is None:
            return []
        commands = split_commands(item.text, lambda _: item.spot, Dialect.COMPOSE, self._variables)
        words = commands[0] if commands else []
        return list(_placed(words, item))

    def _environment(self) -> dict[str, Word]:
        found: dict[str, Word] = {}
        for entry in self._env_files():
            path = entry.text or entry.word("path")
            file = self._source.companions.beside(self._source.folder, path)
            if file is None:
                self._unread.append(unread_file(path, entry.spot, self._name))
            else:
                found |= parse_env(file.text, file.shown, self._variables)
        for name, value in self._service.at("environment").pairs():
            if value.is_null:  # passed on from the shell that starts compose
                hole = Word((Hole(HoleKind.VARIABLE, name),), value.spot)
                found[name] = self._variables.get(name, hole)
            else:
                found[name] = expand(value.text or "", value.spot, Dialect.COMPOSE, self._variables)
        return found

    def _env_files(self) -> tuple[Item, ...]:
        item = self._service.at("env_file")
        return item.entries if item.is_list else () if item.is_null else (item,)

    def _mounts(self) -> Iterator[Mount]:
        for entry in self._service.at("volumes").entries:
            text = expand(entry.text or "", entry.spot, Dialect.COMPOSE, self._variables).text
            outside, _, rest = text.partition(":")
            inside = rest.partition(":")[0] or outside
            if entry.fields:
                outside, inside = entry.word("source"), entry.word("target")
            if outside.startswith(("./", "../")):
                yield Mount(inside, str(self._source.folder / outside), PlaceKind.HERE)
            else:
                yield Mount(inside, outside if outside.startswith(("/", "~")) else "")
        for kind in ("secrets", "configs"):
            for entry in self._service.at(kind).entries:
                yield from self._shared(kind, entry)

    def _shared(self, kind: str, entry: Item) -> Iterator[Mount]:
        name = entry.text or entry.word("source")
        target = entry.word("target") or name
        base = _SECRETS if kind == "secrets" else ""
        inside = target if target.startswith("/") else f"{base}/{target}"
        declared = self._document.at(kind, name)
        if file := declared.word("file"):
            yield Mount(inside, str(self._source.folder / file), PlaceKind.HERE)
        elif variable := declared.word("environment"):
            yield Mount(inside, "", PlaceKind.COMMAND, ("printenv", variable))
        else:
            yield Mount(inside, "")

    def _container(self, image: str, spot: Spot) -> Container:
        devices = self._service.at("deploy", "resources", "reservations", "devices").entries
        uuids = [e.text or "" for device in devices for e in device.at("device_ids").entries]
        visible = self._variables_of_service.get("NVIDIA_VISIBLE_DEVICES")
        named = [*uuids, *((visible.known or "").split(",") if visible is not None else [])]
        gpus = tuple(dict.fromkeys(name for name in named if name.startswith(("GPU-", "MIG-"))))
        return Container(
            image=image,
            image_spot=spot,
            host_network=self._text("network_mode") == "host",
            ports=tuple(self._ports()),
            gpus=gpus,
            all_gpus=bool(devices) or self._text("runtime") == "nvidia" or not self._service.at("gpus").is_null,
        )

    def _ports(self) -> Iterator[Port]:
        for entry in self._service.at("ports").entries:
            if entry.fields:
                address, outside = entry.word("host_ip"), entry.word("published")
                yield Port(entry.word("target"), outside, address, entry.spot)
            else:
                yield from parse_port(
                    expand(entry.text or "", entry.spot, Dialect.COMPOSE, self._variables).text, entry.spot
                )

    def _aliases(self) -> Iterator[str]:
        for network in self._service.at("networks").fields.values():
            for alias in network.at("aliases").entries:
                yield alias.text or ""

    def _text(self, key: str) -> str:
        item = self._service.at(key)
        return expand(item.text or "", item.spot, Dialect.COMPOSE, self._variables).text


def _placed(words: list[Word], item: Item) -> Iterator[Word]:
    """Words of one long text, each where it stands in it."""
    at = 0
    for word in words:
        first = next((part for part in word.parts if isinstance(part, str)), "")
        spot, at = item.inside(first, at)
        yield Word(word.parts, spot)
