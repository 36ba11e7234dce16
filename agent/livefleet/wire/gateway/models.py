"""What the paying client learns and reports."""

from dataclasses import dataclass, field
from fractions import Fraction

from livefleet.kernel import Address, Wei
from livefleet.wire.proto import lp_rpc_pb2 as pb

__all__ = ["ImageReport", "RenditionReport", "SegmentReport", "Spending", "StreamReport", "address_of"]


@dataclass(frozen=True, slots=True)
class RenditionReport:
    """One downloaded rendition, as found by decoding it."""

    profile: str
    width: int
    height: int
    frames: int
    pixels: int
    reported_pixels: int
    duration_s: float
    has_audio: bool
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class SegmentReport:
    """One segment there and back."""

    sequence: int
    source_duration_s: float
    round_trip_s: float  # POST until the result's last byte
    download_s: float
    tickets: int
    pixels: int
    fee: Fraction  # wei that the orchestrator may have debited
    renditions: tuple[RenditionReport, ...]
    signature_ok: bool
    problems: tuple[str, ...]  # empty: everything a gateway checks holds


@dataclass(frozen=True, slots=True)
class Spending:
    """What was sent to one orchestrator."""

    tickets: int
    expected_value: Fraction  # wei, sum over tickets
    face_value: Wei  # of the last ticket parameters
    fees: Fraction  # wei for work done


@dataclass(frozen=True, slots=True)
class StreamReport:
    """A whole stream."""

    orchestrator: str
    recipient: Address | None
    price: Fraction | None  # wei per pixel
    segments: tuple[SegmentReport, ...]
    spending: Spending
    retries: int = 0
    failures: tuple[str, ...] = field(default=())  # segments that never came back, with their last error

    @property
    def ok(self) -> bool:
        """Whether every segment came back and every check held."""
        return not self.failures and all(not s.problems for s in self.segments)


@dataclass(frozen=True, slots=True)
class ImageReport:
    """Images made by one request."""

    orchestrator: str
    model_id: str
    price: Fraction | None  # wei per pixel
    round_trip_s: float
    tickets: int
    images: tuple[bytes, ...]  # PNG
    sizes: tuple[tuple[int, int], ...]
    seeds: tuple[int, ...]


def address_of(info: pb.OrchestratorInfo) -> bytes:
    """Whose signature results must carry: the info's address, else the ticket recipient."""
    if info.address.strip(b"\0"):
        return bytes(info.address)
    return bytes(info.ticket_params.recipient)
