"""Puts what the service has answered in its places: secrets first, node.yaml after them, the note of it last.

Each file is old or new, never between. A cut at any point leaves a host that asks again and gets the same answer.
"""

import base64
import binascii
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from livefleet.enrol.durable import Owner, make_folder, write_durably
from livefleet.enrol.errors import EnrolError, HostFault
from livefleet.kernel import BadInput
from livefleet.spec import NodePaths, NodeSpec, SecretPlace, node_digest, parse_node
from livefleet.spec.enrol import EnrolTrust
from livefleet.spec.enrolment import Enrolled
from livefleet.spec.model import SpecModel

__all__ = ["EnrolPlaces", "Enrolment", "accepted", "place"]


class Enrolment(SpecModel):
    """What a host remembers of having enrolled; the agent reports to this service."""

    name: str
    """The host's name in the fleet."""

    fleet: str
    """The fleet's name."""

    code: str
    """What it goes by in the operator's lists."""

    digest: str
    """Digest of the settings that it enrolled with."""

    url: str
    """The service."""

    trust: EnrolTrust
    """How it is known."""

    at: float
    """Unix seconds by this host's clock."""


@dataclass(frozen=True, slots=True)
class EnrolPlaces:
    """Where enrolment keeps things on a host."""

    paths: NodePaths

    @property
    def folder(self) -> Path:
        """All but node.yaml and the secrets."""
        return self.paths.state / "enrol"

    @property
    def identity(self) -> Path:
        """The host's key."""
        return self.folder / "identity.pem"

    @property
    def enrolment(self) -> Path:
        """The note that all files of the answer are in their places."""
        return self.folder / "enrolled.json"

    @property
    def placing(self) -> Path:
        """The note that node.yaml is about to be written, or was, by first boot."""
        return self.folder / "placing"

    @property
    def is_set_up_otherwise(self) -> bool:
        """Whether somebody else has brought node.yaml: `livefleet apply`, whose word is not overwritten."""
        return self.paths.node_yaml.exists() and not (self.placing.exists() or self.enrolment.exists())

    @property
    def done(self) -> Path:
        """The marker that first boot is over."""
        return self.paths.state / "first-boot.done"

    def enrolled(self) -> Enrolment | None:
        """What was noted; None before, and for a damaged note: then the host asks again."""
        try:
            return Enrolment.model_validate_json(self.enrolment.read_bytes())
        except (OSError, ValidationError):
            return None


def accepted(answer: Enrolled, root: Path) -> tuple[NodeSpec, dict[Path, bytes]]:
    """The settings and the files beside them, by path. Raises EnrolError for what this host cannot take."""
    try:
        node = parse_node(answer.node_yaml, "node.yaml")
    except BadInput as error:
        raise EnrolError(
            HostFault.WRONG_ANSWER,
            f"the settings for this host are none that its release understands; make a newer image: {error}",
        ) from error
    if node.name != answer.name:
        raise EnrolError(HostFault.WRONG_ANSWER, f"the settings are for {node.name}, and this host is {answer.name}")
    if Path(node.root) != root:
        raise EnrolError(HostFault.WRONG_ANSWER, f"the settings are for a tree at {node.root}, and this one is {root}")
    if node.service.secrets is not SecretPlace.STATE and answer.files:
        raise EnrolError(HostFault.WRONG_ANSWER, "an enrolled host keeps secrets in its state folder alone")
    wanted = {*node.secrets.values(), *([node.pull.trust] if node.pull is not None else [])}
    files = {}
    for sent in answer.files:
        parts = PurePosixPath(sent.path)
        if sent.path not in wanted or parts.is_absolute() or ".." in parts.parts:
            raise EnrolError(HostFault.WRONG_ANSWER, f"a file {sent.path} was sent that the settings do not name")
        try:
            files[node.paths.resolve(sent.path)] = base64.b64decode(sent.content, validate=True)
        except binascii.Error as error:
            raise EnrolError(HostFault.WRONG_ANSWER, f"the file {sent.path} came damaged") from error
    return node, files


def place(
    answer: Enrolled,
    places: EnrolPlaces,
    url: str,
    trust: EnrolTrust,
    *,
    owner: Owner | None = None,
    now: Callable[[], float] = time.time,
    write: Callable[..., None] = write_durably,
) -> Enrolment:
    """Write everything, in the order that survives a cut. Raises EnrolError, OutsideWorld."""
    node, files = accepted(answer, places.paths.root)
    for path, content in files.items():
        make_folder(path.parent, owner=owner)
        write(path, content, owner=owner)
    make_folder(places.paths.config)
    write(places.placing, b"", owner=owner)
    write(places.paths.node_yaml, answer.node_yaml.encode(), owner=owner)
    note = Enrolment(
        name=node.name,
        fleet=node.fleet,
        code=answer.code,
        digest=node_digest(node),
        url=url,
        trust=trust,
        at=round(now(), 3),
    )
    write(places.enrolment, json.dumps(note.model_dump(mode="json")).encode(), owner=owner)
    return note
