"""Everything that reads bytes of strangers, each under one rule: it takes them or refuses them in the protocol's words.

A target gets bytes and returns a word for what came of them; it raises only what nobody foresaw. What parses is put to
the next steps too, since those trust it.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable

from google.protobuf.message import DecodeError

from livefleet.kernel import Refused
from livefleet.wire.capabilities import Capabilities, needs_of, required_for
from livefleet.wire.errors import BadCredentials, MalformedPayment
from livefleet.wire.messages import WorkerTask
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.results import BadUpload, ResultReader
from livefleet.wire.signing import request_is_signed
from livefleet.wire.translate import (
    capabilities_from_proto,
    capabilities_to_proto,
    info_from_proto,
    outcome_from_proto,
    payment_from_header,
    payment_to_header,
    request_from_proto,
    segment_from_header,
    segment_to_header,
    task_from_proto,
)
from tests.builders.media import a_job

__all__ = ["TARGETS", "run"]

OURS = Capabilities.of(range(13), version="0.9.1")
STRANGER = b"\x01" * 20
BOUNDARY = b"0123456789abcdef0123"
MAX_PARTS, MAX_PART = 6, 4096


def payment_header(data: bytes) -> str:
    """The header `Livepeer-Payment` as it came."""
    return _payment(data.decode("latin-1"))


def payment_message(data: bytes) -> str:
    """What that header holds."""
    return _payment(base64.b64encode(data).decode())


def segment_header(data: bytes) -> str:
    """The header `Livepeer-Segment` as it came."""
    return _segment(data.decode("latin-1"))


def segment_message(data: bytes) -> str:
    """What that header holds."""
    return _segment(base64.b64encode(data).decode())


def capabilities(data: bytes) -> str:
    """What a gateway wants, or a worker offers."""
    try:
        found = capabilities_from_proto(pb.Capabilities.FromString(data))
    except DecodeError:
        return "no message"
    OURS.serves(found)
    OURS.transcodes(found)
    assert len(OURS.with_worker(found).ids) <= 1024 + len(OURS.ids)
    assert capabilities_from_proto(capabilities_to_proto(found)).words == found.words
    return f"{min(len(found.priced_models), 3)} priced models"


def discovery(data: bytes) -> str:
    """GetOrchestrator's request."""
    try:
        found = request_from_proto(pb.OrchestratorRequest.FromString(data))
    except DecodeError:
        return "no message"
    return "signed" if request_is_signed(found.address, found.signature) else "not signed"


def answers(data: bytes) -> str:
    """What an orchestrator tells our gateway and our worker."""
    for read in (
        lambda: info_from_proto(pb.OrchestratorInfo.FromString(data)),
        lambda: outcome_from_proto(pb.TranscodeResult.FromString(data)),
    ):
        with contextlib.suppress(DecodeError, ValueError):
            read()
    try:
        task = task_from_proto(pb.NotifySegment.FromString(data))
    except (DecodeError, BadCredentials) as error:
        return type(error).__name__
    return "task" if isinstance(task, WorkerTask) else "session's end"


def upload(data: bytes) -> str:
    """A worker's result; the first two bytes say in which pieces it comes."""
    content_type, _, body = data[2:].partition(b"\n")
    piece = 1 + int.from_bytes(data[:2], "big") % 999
    try:
        reader = ResultReader(content_type.decode("latin-1"), max_parts=MAX_PARTS, max_part=MAX_PART)
        for at in range(0, len(body), piece):
            reader.feed(body[at : at + piece])
        found = reader.renditions()
    except BadUpload:
        return "refused"
    assert len(found) <= MAX_PARTS
    assert all(len(rendition.data) <= MAX_PART and 0 <= rendition.pixels < 2**63 for rendition in found)
    return f"{len(found)} renditions"


TARGETS: tuple[Callable[[bytes], str], ...] = (
    payment_header,
    payment_message,
    segment_header,
    segment_message,
    capabilities,
    discovery,
    answers,
    upload,
)


def run(data: bytes) -> str:
    """The first byte chooses the target."""
    target = TARGETS[data[0] % len(TARGETS)] if data else payment_message
    return f"{target.__name__}: {target(data[1:])}"


def _payment(header: str) -> str:
    try:
        found = payment_from_header(header)
    except MalformedPayment as error:
        _assert_refusal(error, 402)
        return "refused"
    again = payment_from_header(payment_to_header(found))
    assert (again.sender, again.tickets) == (found.sender, found.tickets)
    assert found.expected_price is None or found.expected_price >= 0
    return "tickets" if found.tickets else "no tickets"


def _segment(header: str) -> str:
    try:
        found = segment_from_header(header)
    except BadCredentials as error:
        _assert_refusal(error, 403)
        return "refused"
    assert not found.is_signed_by(STRANGER)
    assert len(found.profiles) <= 100
    assert len(found.message()) == 32
    found.manifest_key.encode()
    needs = found.capabilities or required_for(found.profiles)
    OURS.serves(needs_of(a_job(b"", *found.profiles), needs))
    assert segment_from_header(segment_to_header(found)).manifest_id == found.manifest_id
    return "credentials"


def _assert_refusal(error: Refused, status: int) -> None:
    """One line of text under the right status: it becomes a body, and a log's field."""
    assert error.status == status
    assert error.text
