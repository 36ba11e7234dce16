"""Reading: fleet.yaml to a checked Fleet on the operator's side, node.yaml to a NodeSpec on the host."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from livefleet.kernel import BadInput
from livefleet.spec.assemble import Merged, assemble, empty_sections, locate_in, mapping_of, used_names
from livefleet.spec.document import Document, parse_document, read_document
from livefleet.spec.explain import explain
from livefleet.spec.fleet import FleetSpec, HostSettings, ProfileLayer
from livefleet.spec.gateways_file import with_gateways_file
from livefleet.spec.keys import SecretRef
from livefleet.spec.more_hosts import with_hosts
from livefleet.spec.node import NodeSpec
from livefleet.spec.own_files import own_profiles
from livefleet.spec.problem import SpecError, did_you_mean
from livefleet.spec.profile import Origins, ProfileFolders, normal
from livefleet.spec.pull import TRUST_ON_HOST
from livefleet.spec.secrets import SecretToSend, secrets_to_send

__all__ = ["Fleet", "load_fleet", "load_node", "load_profile", "parse_node"]


class Fleet:
    """A fleet that has passed every check."""

    def __init__(self, path: Path, spec: FleetSpec, hosts: Mapping[str, Merged]) -> None:
        self.path = path
        self.spec = spec
        self._hosts = hosts

    @property
    def name(self) -> str:
        """The fleet's name."""
        return self.spec.name

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of the hosts, in the file's order."""
        return tuple(self._hosts)

    def node(self, host: str) -> NodeSpec:
        """What the host is told. Raises BadInput for an unknown host."""
        return self._find(host).node

    def origins(self, host: str) -> Origins:
        """Where each value of the host came from."""
        return self._find(host).origins

    def host(self, host: str) -> HostSettings:
        """The operator's side of the host: address, ssh, release."""
        found = self._find(host)
        settings = found.settings
        ssh = settings.ssh.model_copy(
            update={"key": self._path_of(settings.ssh.key), "known_hosts": self._path_of(settings.ssh.known_hosts)}
        )
        return settings.model_copy(update={"ssh": ssh})

    def secrets_to_send(self, host: str) -> list[SecretToSend]:
        """Files and variables of the operator's that the host needs."""
        found = self._find(host)
        sent = secrets_to_send(self.spec, used_names(found.node), self.path.parent, found.node)
        if (trust := found.settings.trust) is not None:
            sent.append(SecretToSend("pull.trust", TRUST_ON_HOST, SecretRef(file=trust), self.path.parent))
        return sent

    def _path_of(self, text: str | None) -> str | None:
        return None if text is None else str((self.path.parent / Path(text).expanduser()).absolute())

    def _find(self, host: str) -> Merged:
        try:
            return self._hosts[host]
        except KeyError:
            raise BadInput(f"{self.path}: no host `{host}`; {did_you_mean(host, self._hosts)}") from None


def load_fleet(
    path: Path,
    *,
    profiles: Sequence[Path] | None = None,
    more_hosts: Mapping[str, Mapping[str, Any]] | None = None,
) -> Fleet:
    """Read, merge and check a fleet file.

    Args:
        path: fleet.yaml. Its name stands in messages as given.
        profiles: Folders to look for profiles in, best first. None: `profiles` beside the file, then livefleet's.
        more_hosts: Hosts that the file does not have, by name, as it would declare them.

    Raises:
        SpecError: with every problem that was found, in all files.
    """
    folders = [path.parent / "profiles", own_profiles()] if profiles is None else list(profiles)
    document = with_hosts(read_document(path), more_hosts or {})
    return Fleet(path, *assemble(document, ProfileFolders(folders)))


def load_node(path: Path) -> NodeSpec:
    """Read node.yaml. Raises SpecError with positions."""
    return _node_of(read_document(path))


def parse_node(text: str, file: str) -> NodeSpec:
    """The same of a text that stands in `file` somewhere. Raises SpecError with positions."""
    return _node_of(parse_document(text, file))


def _node_of(document: Document) -> NodeSpec:
    data, problems = with_gateways_file(mapping_of(document), document.place, document.file)
    problems = [*document.problems, *problems]
    try:
        node = NodeSpec.model_validate(data)
    except ValidationError as error:
        raise SpecError([*problems, *explain(error, NodeSpec, data, locate_in(document))]) from error
    if problems:
        raise SpecError(problems)
    return node


def load_profile(path: Path) -> ProfileLayer:
    """Read and check one profile by itself. Raises SpecError with positions."""
    document = read_document(path)
    data = normal(mapping_of(document), document.place)
    problems = [*document.problems, *empty_sections(data, document.file, document.place)]
    try:
        layer = ProfileLayer.model_validate(data)
    except ValidationError as error:
        raise SpecError([*problems, *explain(error, ProfileLayer, data, locate_in(document))]) from error
    if problems:
        raise SpecError(problems)
    return layer
