"""What an enrolled host is told: its slice of the fleet, and the files that go with it. Never a key."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livefleet.control.enrol.records import HostRecord
from livefleet.control.enrol.tokens import Template, TemplateKind
from livefleet.kernel import BadInput
from livefleet.spec import CommandOutputs, Fleet, NodeSpec, SecretPlace, load_fleet, to_yaml
from livefleet.spec.assemble import mapping_of
from livefleet.spec.document import read_document
from livefleet.spec.enrolment import Enrolled, SentFile

__all__ = ["FleetSlices", "host_layer"]

_NOBODY = "enrolling-host"  # stands for a host of a group while there is none yet


def host_layer(name: str, template: Template) -> dict[str, Any]:
    """How fleet.yaml declares a host that has enrolled as one of a group. Nobody goes to it by ssh: it pulls."""
    return {"address": name, "groups": [template.name]}


class FleetSlices:
    """The fleet file as it is when asked."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self._path = path
        self._environ = environ

    def declared(self) -> frozenset[str]:
        """Names of the hosts that the file has, whatever else is wrong with it. Raises BadInput if it is not YAML."""
        hosts = mapping_of(read_document(self._path)).get("hosts")
        return frozenset(hosts if isinstance(hosts, dict) else ())

    def check(self, template: Template) -> NodeSpec:
        """What a host of this template would be told. Raises BadInput where it cannot be told by enrolment."""
        name = template.name if template.kind is TemplateKind.HOST else _NOBODY
        return self._checked(self._fleet(name, template), name, template)

    def answer(self, host: HostRecord) -> Enrolled:
        """The host's settings, byte for byte what `apply` would write, and its secrets. Raises BadInput."""
        assert host.name is not None  # it is enrolled
        assert host.template is not None
        fleet = self._fleet(host.name, host.template)
        node = self._checked(fleet, host.name, host.template)
        outputs = CommandOutputs()
        files = [
            SentFile(path=item.host_path, content=base64.b64encode(item.read(self._environ, outputs)).decode())
            for item in fleet.secrets_to_send(node.name)
        ]
        return Enrolled(name=node.name, code=host.code, node_yaml=to_yaml(node), files=tuple(files))

    def _fleet(self, name: str, template: Template) -> Fleet:
        if template.kind is TemplateKind.HOST:
            return load_fleet(self._path)
        return load_fleet(self._path, more_hosts={name: host_layer(name, template)})

    def _checked(self, fleet: Fleet, name: str, template: Template) -> NodeSpec:
        node = fleet.node(name)
        what = f"{self._path}: a host of {template}"
        if node.keys:
            raise BadInput(
                f"{what} would need the keys {', '.join(node.keys)}: keys come by `livefleet apply` alone; enrol"
                " workers, or hosts whose duties use no key"
            )
        if node.service.secrets is not SecretPlace.STATE:
            raise BadInput(f"{what} keeps secrets in {node.service.secrets}: enrolment brings them to `state` alone")
        return node
