"""Kubernetes manifests: pods, whatever makes them, with the ConfigMaps and Secrets that stand beside them."""

import base64
import binascii
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from livefleet.control.importer.findings import Finding, Outcome
from livefleet.control.importer.items import Item, read_items
from livefleet.control.importer.process import Container, Mount, PlaceKind, Process
from livefleet.control.importer.sources.base import (
    Reading,
    Source,
    arguments_of,
    host_name,
    image_findings,
    is_livepeer_image,
    other_image,
)
from livefleet.control.importer.words import Dialect, Hole, HoleKind, Word, expand, literal

__all__ = ["read_kubernetes"]

_POD_SPECS: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": ("spec",),
    "Deployment": ("spec", "template", "spec"),
    "StatefulSet": ("spec", "template", "spec"),
    "DaemonSet": ("spec", "template", "spec"),
    "ReplicaSet": ("spec", "template", "spec"),
    "Job": ("spec", "template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}


@dataclass(slots=True)
class _Cluster:
    """What the manifests declare beside pods."""

    maps: dict[str, Item] = field(default_factory=dict)
    secrets: dict[str, Item] = field(default_factory=dict)
    services: dict[str, Item] = field(default_factory=dict)


def read_kubernetes(source: Source) -> Reading:
    """Every node in every document."""
    objects = [each for document in read_items(source.text, source.shown) for each in _objects(document)]
    cluster = _Cluster()
    for each in objects:
        kept = {"ConfigMap": cluster.maps, "Secret": cluster.secrets, "Service": cluster.services}.get(
            each.word("kind")
        )
        if kept is not None:
            kept[each.word("metadata", "name")] = each
    processes: list[Process] = []
    findings: list[Finding] = []
    for each in objects:
        path = _POD_SPECS.get(each.word("kind"))
        if path is None:
            continue
        for container in each.at(*path, "containers").entries:
            reading = _Pod(source, cluster, each, each.at(*path), container).reading()
            processes += reading.processes
            findings += reading.findings
    return Reading(tuple(processes), tuple(findings))


def _objects(document: Item) -> Iterator[Item]:
    if document.word("kind") == "List":
        yield from document.at("items").entries
    elif document.is_list:
        yield from document.entries
    else:
        yield document


class _Pod:
    """One container of one object."""

    def __init__(self, source: Source, cluster: _Cluster, owner: Item, pod: Item, container: Item) -> None:
        self._source = source
        self._cluster = cluster
        self._owner = owner
        self._pod = pod
        self._container = container
        self._namespace = owner.word("metadata", "namespace")
        alone = len(pod.at("containers").entries) == 1
        name = owner.word("metadata", "name")
        self._name = host_name(name if alone else f"{name}-{container.word('name')}")

    def reading(self) -> Reading:
        environment = self._environment()
        words = [
            expand(each.text or "", each.spot, Dialect.KUBERNETES, environment)
            for key in ("command", "args")
            for each in self._container.at(key).entries
        ]
        image, spot = self._container.word("image"), self._container.at("image").spot
        arguments = arguments_of(words, environment, self._source)
        if arguments is None and is_livepeer_image(image):
            arguments = tuple(words)
        if arguments is None or (words and words[0].text.startswith("-") and not is_livepeer_image(image)):
            other = other_image(image, spot, self._name)
            return Reading(findings=(other,) if other is not None else ())
        privileged = self._container.at("securityContext", "privileged")
        findings = image_findings(
            image, spot, self._name, privileged=privileged.spot if privileged.is_true else None, socket=None
        )
        process = Process(
            name=self._name,
            machine=f"{self._source.machine}#{self._name}",
            spot=self._container.spot,
            kind="kubernetes",
            arguments=arguments,
            environment=environment,
            folder=self._source.folder,
            mounts=tuple(self._mounts()),
            container=Container(
                image=image,
                image_spot=spot,
                host_network=self._pod.at("hostNetwork").is_true,
                all_gpus=not self._container.at("resources", "limits", "nvidia.com/gpu").is_null,
            ),
            names=frozenset(self._service_names()),
            findings=(*findings, *self._replicas()),
        )
        return Reading((process,))

    def _replicas(self) -> Iterator[Finding]:
        replicas = self._owner.at("spec", "replicas")
        is_many = self._owner.word("kind") == "DaemonSet" or (replicas.text or "1") not in ("0", "1")
        if is_many:
            text = "one host is written: copy it for each machine, each with its own name and address"
            yield Finding(replicas.spot, Outcome.TO_DO, "replicas", text, self._name)

    def _environment(self) -> dict[str, Word]:
        found: dict[str, Word] = {}
        for each in self._container.at("envFrom").entries:
            prefix = each.word("prefix")
            for name, value in self._all_of(each):
                found[prefix + name] = value
        for each in self._container.at("env").entries:
            name = each.word("name")
            origin = each.at("valueFrom")
            if origin.is_null:
                found[name] = expand(each.word("value"), each.at("value").spot, Dialect.KUBERNETES, found)
            elif (key := origin.at("configMapKeyRef")).fields:
                data = self._cluster.maps.get(key.word("name"), Item(each.spot)).at("data", key.word("key"))
                hole = Word((Hole(HoleKind.VARIABLE, name),), each.spot)
                found[name] = hole if data.text is None else literal(data.text, data.spot)
            elif (key := origin.at("secretKeyRef")).fields:
                found[name] = self._secret(key.word("name"), key.word("key"), each)
            else:
                found[name] = Word((Hole(HoleKind.VARIABLE, name),), each.spot)
        return found

    def _all_of(self, each: Item) -> Iterator[tuple[str, Word]]:
        held = self._cluster.maps.get(each.word("configMapRef", "name"))
        if held is not None:
            for name, value in held.at("data").fields.items():
                yield name, literal(value.text or "", value.spot)
        name = each.word("secretRef", "name")
        secret = self._cluster.secrets.get(name)
        if secret is not None:
            for section in ("data", "stringData"):
                for key in secret.at(section).fields:
                    yield key, self._secret(name, key, each)

    def _secret(self, name: str, key: str, at: Item) -> Word:
        """Its text where the manifests hold it, else what asks the cluster for it."""
        held = self._cluster.secrets.get(name)
        if held is not None and (text := held.at("stringData", key)).text is not None:
            return literal(text.text or "", text.spot)
        if held is not None and (coded := held.at("data", key)).text is not None:
            try:
                return literal(base64.b64decode(coded.text or "", validate=True).decode(), coded.spot)
            except (binascii.Error, UnicodeDecodeError):
                pass
        return Word((Hole(HoleKind.COMMAND, self._ask(name, key)),), at.spot)

    def _ask(self, name: str, key: str) -> str:
        """A shell's command that prints it."""
        space = f"-n {shlex.quote(self._namespace)} " if self._namespace else ""
        path = shlex.quote(f"jsonpath={{.data.{key.replace('.', chr(92) + '.')}}}")
        return f"kubectl {space}get secret {shlex.quote(name)} -o {path} | base64 -d"

    def _mounts(self) -> Iterator[Mount]:
        volumes = {each.word("name"): each for each in self._pod.at("volumes").entries}
        for each in self._container.at("volumeMounts").entries:
            volume = volumes.get(each.word("name"), Item(each.spot))
            inside, below = each.word("mountPath"), each.word("subPath")
            secret = volume.word("secret", "secretName")
            if secret:
                yield from self._secret_files(secret, inside, below)
            elif path := volume.word("hostPath", "path"):
                yield Mount(inside, path)
            else:
                yield Mount(inside, "")

    def _secret_files(self, secret: str, inside: str, below: str) -> Iterator[Mount]:
        yield Mount(inside, "")
        held = self._cluster.secrets.get(secret)
        keys = (
            [below] if below else [*held.at("data").fields, *held.at("stringData").fields] if held is not None else []
        )
        for key in keys:
            path = inside if below else f"{inside.rstrip('/')}/{key}"
            yield Mount(path, "", PlaceKind.COMMAND, ("sh", "-c", self._ask(secret, key)))

    def _service_names(self) -> Iterator[str]:
        labels = {
            key: value.text for key, value in self._owner.at("spec", "template", "metadata", "labels").fields.items()
        }
        labels = labels or {key: value.text for key, value in self._owner.at("metadata", "labels").fields.items()}
        for name, service in self._cluster.services.items():
            selector = service.at("spec", "selector").fields
            if selector and all(labels.get(key) == value.text for key, value in selector.items()):
                space = service.word("metadata", "namespace") or "default"
                yield from (name, f"{name}.{space}", f"{name}.{space}.svc", f"{name}.{space}.svc.cluster.local")
