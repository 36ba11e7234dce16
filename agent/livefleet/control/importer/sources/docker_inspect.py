"""What `docker inspect CONTAINER...` prints."""

from collections.abc import Iterator

from livefleet.control.importer.findings import Finding, Spot
from livefleet.control.importer.items import Item, read_items
from livefleet.control.importer.process import Container, Mount, Port, Process
from livefleet.control.importer.sources.base import (
    Reading,
    Source,
    arguments_of,
    host_name,
    image_findings,
    is_livepeer_image,
    other_image,
)
from livefleet.control.importer.words import Word, literal

__all__ = ["read_docker_inspect"]


def read_docker_inspect(source: Source) -> Reading:
    """Every container that is a node."""
    processes: list[Process] = []
    findings: list[Finding] = []
    for document in read_items(source.text, source.shown):
        for item in document.entries if document.is_list else (document,):
            reading = _container(item, source)
            processes += reading.processes
            findings += reading.findings
    return Reading(tuple(processes), tuple(findings))


def _container(item: Item, source: Source) -> Reading:
    image = item.word("Config", "Image")
    spot = item.at("Config", "Image").spot
    name = host_name(item.word("Name").lstrip("/") or item.word("Id")[:12])
    words = _words(item)
    environment = {key: literal(value.text or "", value.spot) for key, value in item.at("Config", "Env").pairs()}
    arguments = arguments_of(words, environment, source)
    if arguments is None and is_livepeer_image(image):
        arguments = tuple(words)
    if arguments is None:
        other = other_image(image, spot, name)
        return Reading(findings=(other,) if other is not None else ())
    host = item.at("HostConfig")
    privileged = host.at("Privileged")
    binds = [entry for entry in host.at("Binds").entries if "docker.sock" in (entry.text or "")]
    process = Process(
        name=name,
        machine=source.machine,
        spot=item.spot,
        kind="docker inspect",
        arguments=arguments,
        environment=environment,
        folder=source.folder,
        mounts=tuple(_mounts(item)),
        container=Container(
            image=image,
            image_spot=spot,
            host_network=host.word("NetworkMode") == "host",
            ports=tuple(_ports(item)),
            gpus=tuple(_gpus(item)),
            all_gpus=bool(host.at("DeviceRequests").entries) or host.word("Runtime") == "nvidia",
        ),
        names=frozenset({name, item.word("Config", "Hostname"), *_aliases(item)} - {""}),
        findings=tuple(
            image_findings(
                image,
                spot,
                name,
                privileged=privileged.spot if privileged.is_true else None,
                socket=binds[0].spot if binds else None,
            )
        ),
    )
    return Reading((process,))


def _words(item: Item) -> list[Word]:
    """`Path` and `Args` are what runs; a file that was cut down may have `Config` alone."""
    words = [item.at("Path"), *item.at("Args").entries] if item.word("Path") else []
    if not words:
        words = [*item.at("Config", "Entrypoint").entries, *item.at("Config", "Cmd").entries]
    return [literal(word.text or "", word.spot) for word in words]


def _mounts(item: Item) -> Iterator[Mount]:
    for mount in item.at("Mounts").entries:
        yield Mount(mount.word("Destination"), mount.word("Source"))
    if item.at("Mounts").entries:
        return
    for bind in item.at("HostConfig", "Binds").entries:
        outside, _, rest = (bind.text or "").partition(":")
        yield Mount(rest.partition(":")[0], outside if outside.startswith("/") else "")


def _ports(item: Item) -> Iterator[Port]:
    for inside, bound in item.at("HostConfig", "PortBindings").fields.items():
        for entry in bound.entries:
            spot: Spot = entry.spot
            address = entry.word("HostIp")
            outside = entry.word("HostPort")
            yield Port(inside.partition("/")[0], outside, "" if address in ("0.0.0.0", "::") else address, spot)  # noqa: S104 -- what docker writes


def _gpus(item: Item) -> Iterator[str]:
    for request in item.at("HostConfig", "DeviceRequests").entries:
        for device in request.at("DeviceIDs").entries:
            if (device.text or "").startswith(("GPU-", "MIG-")):
                yield device.text or ""


def _aliases(item: Item) -> Iterator[str]:
    for network in item.at("NetworkSettings", "Networks").fields.values():
        for alias in network.at("Aliases").entries:
            yield alias.text or ""
