"""What the agent and a worker process say to each other: a length, then one JSON object. Media travels in files."""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from livefleet.kernel import Pixels, SessionId
from livefleet.media.models import Profile
from livefleet.media.probe import Probe

__all__ = [
    "LENGTH_BYTES",
    "Cancel",
    "Done",
    "EndSession",
    "Failed",
    "FromWorker",
    "Prove",
    "Proven",
    "Ready",
    "RunJob",
    "ToWorker",
    "body_length",
    "frame",
    "parse_from_worker",
    "receive",
]

LENGTH_BYTES = 4
MAX_MESSAGE = 1 << 20


@dataclass(frozen=True, slots=True)
class RunJob:
    """Transcode one segment into files."""

    id: int
    sequence: int
    source: Path
    outputs: tuple[Path, ...]  # one a profile; the worker writes them, and each one's hash beside it (`hash_path`)
    duration_ms: int
    profiles: tuple[Profile, ...]
    orchestrator_id: str
    clip_from_ms: int | None = None
    clip_to_ms: int | None = None
    calc_perceptual_hash: bool = False
    session: SessionId = SessionId("")
    force_reinit: bool = False
    kind: Literal["run"] = "run"


@dataclass(frozen=True, slots=True)
class Cancel:
    """Give a job up; its answer is still sent."""

    id: int
    kind: Literal["cancel"] = "cancel"


@dataclass(frozen=True, slots=True)
class EndSession:
    """Let go of what is kept for a session. There is no answer."""

    session: SessionId
    kind: Literal["end"] = "end"


@dataclass(frozen=True, slots=True)
class Prove:
    """Transcode a sample, as when the process started, and look at what comes out."""

    id: int
    kind: Literal["prove"] = "prove"


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker's first word: what its device can do."""

    probe: Probe
    kind: Literal["ready"] = "ready"


@dataclass(frozen=True, slots=True)
class Done:
    """All outputs are complete."""

    id: int
    encoded_pixels: tuple[Pixels, ...]
    decoded_pixels: Pixels
    kind: Literal["done"] = "done"


@dataclass(frozen=True, slots=True)
class Proven:
    """The sample came out as it should."""

    id: int
    kind: Literal["proven"] = "proven"


@dataclass(frozen=True, slots=True)
class Failed:
    """The job, or the sample, came to nothing; the worker lives on."""

    id: int
    text: str  # as in TranscodeError
    detail: str
    kind: Literal["failed"] = "failed"


ToWorker = RunJob | Cancel | EndSession | Prove
FromWorker = Ready | Done | Failed | Proven

_TO_WORKER: TypeAdapter[ToWorker] = TypeAdapter(Annotated[ToWorker, Field(discriminator="kind")])
_FROM_WORKER: TypeAdapter[FromWorker] = TypeAdapter(Annotated[FromWorker, Field(discriminator="kind")])


def frame(message: ToWorker | FromWorker) -> bytes:
    """The message as it goes over the socket."""
    body = _TO_WORKER.dump_json(message) if isinstance(message, ToWorker) else _FROM_WORKER.dump_json(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def body_length(header: bytes) -> int:
    """Bytes that follow a header. Raises ValueError for an absurd length."""
    length = int.from_bytes(header, "big")
    if length > MAX_MESSAGE:
        raise ValueError(f"a message of {length} bytes")
    return length


def parse_from_worker(body: bytes) -> FromWorker:
    """A worker's message. Raises ValueError."""
    return _FROM_WORKER.validate_json(body)


def receive(connection: socket.socket) -> ToWorker | None:
    """The worker's side: block for the next message; None when the agent has gone."""
    header = _exactly(connection, LENGTH_BYTES)
    if header is None:
        return None
    body = _exactly(connection, body_length(header))
    return None if body is None else _TO_WORKER.validate_json(body)


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            return None
        data += more
    return data
