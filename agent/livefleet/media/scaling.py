"""From decoded frames to one rendition's pictures: upright, at its size and rate, 8-bit 4:2:0."""

from __future__ import annotations  # av's generic classes are generic for the type checker only

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeAlias

import av
from av.audio.stream import AudioStream
from av.filter import Graph
from av.sidedata.sidedata import SideData, SideDataContainer
from av.video.frame import VideoFrame

from livefleet.media.device import DeviceKind
from livefleet.media.models import Container, Profile, TranscodeError
from livefleet.media.rendition import EncodePlan, plan
from livefleet.media.timing import tick

__all__ = ["Picture", "Scaler", "SourceShape"]

_RUNAWAY_FACTOR = 25

# How a frame is to be turned and mirrored, as the corner a, b, c, d of a display matrix has it: a pixel at x, y (y
# downwards) comes to a * x + c * y, b * x + d * y. -> What does it.
_Orientation: TypeAlias = tuple[int, int, int, int]
_UPRIGHT: _Orientation = (1, 0, 0, 1)
_TURNS: dict[_Orientation, tuple[tuple[str, str], ...]] = {
    _UPRIGHT: (),
    (-1, 0, 0, 1): (("hflip", ""),),
    (1, 0, 0, -1): (("vflip", ""),),
    (-1, 0, 0, -1): (("hflip", ""), ("vflip", "")),
    (0, -1, 1, 0): (("transpose", "cclock"),),
    (0, 1, -1, 0): (("transpose", "clock"),),
    (0, 1, 1, 0): (("transpose", "cclock_flip"),),
    (0, -1, -1, 0): (("transpose", "clock_flip"),),
}
_BY_ANGLE: tuple[_Orientation, ...] = (_UPRIGHT, (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))
_MATRIX = struct.Struct("=9i")


@dataclass(frozen=True, slots=True)
class SourceShape:
    """What every rendition of a segment has in common."""

    kind: DeviceKind
    rate: Fraction | None  # frames a second as the container tells
    aspect: Fraction | None  # of one sample; None when square
    audio: AudioStream | None  # copied as it is
    audio_bit_rate: int | None  # as it was when the source was opened: reading on changes what FFmpeg thinks of it
    processed_by: str  # for the outputs' metadata


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame as it is to be encoded, and how."""

    frame: VideoFrame
    plan: EncodePlan


@dataclass(frozen=True, slots=True)
class _Input:
    """What a graph is built for; another one needs another graph."""

    width: int
    height: int
    format: str
    orientation: _Orientation

    @classmethod
    def of(cls, frame: VideoFrame) -> _Input:
        return cls(frame.width, frame.height, frame.format.name, _orientation(frame))

    @property
    def is_lying(self) -> bool:
        """Whether width and height change places."""
        return not self.orientation[0]


class Scaler:
    """One rendition's filters. Belongs to one thread at a time."""

    def __init__(self, profile: Profile, source: SourceShape) -> None:
        self._profile = profile
        self._source = source
        self._frames_in = 0
        self._frames_out = 0
        self._graph: Graph | None = None
        self._input: _Input | None = None
        self._plan: EncodePlan | None = None
        self._latest: VideoFrame | None = None

    def pictures(self, frame: VideoFrame) -> Iterator[Picture]:
        """What there is to encode once `frame` has been seen. Raises TranscodeError."""
        self._frames_in += 1
        self._latest = frame
        shape = _Input.of(frame)
        if shape != self._input:
            yield from self._flush()
            self._rebuild(shape, frame)
        assert self._graph is not None
        self._graph.vpush(frame)
        yield from self._drain()

    def rest(self) -> Iterator[Picture]:
        """What the rate conversion still holds; of a segment too short for its rate, the last frame."""
        yield from self._flush()
        latest, self._latest = self._latest, None
        if latest is not None and not self._frames_out:
            assert self._plan is not None
            assert self._input is not None
            self._plan = replace(self._plan, fps=None)
            self._graph = _graph(self._plan, self._input, latest)
            self._graph.vpush(latest)
            yield from self._flush()

    def _flush(self) -> Iterator[Picture]:
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._drain()

    def _rebuild(self, shape: _Input, frame: VideoFrame) -> None:
        upright = (shape.height, shape.width) if shape.is_lying else (shape.width, shape.height)
        wanted = plan(self._profile, self._source.kind, *upright, self._source.rate)
        if self._plan is not None and self._profile.container is Container.MP4:
            wanted = self._plan  # one sample description a track: keep the first size
        try:
            self._graph = _graph(wanted, shape, frame)
        except av.FFmpegError as error:
            raise TranscodeError("Error initializing filtergraph", detail=str(error)) from error
        self._plan, self._input = wanted, shape

    def _drain(self) -> Iterator[Picture]:
        assert self._graph is not None
        assert self._plan is not None
        for frame in _pull(self._graph):
            self._frames_out += 1
            if self._frames_out > _RUNAWAY_FACTOR * self._frames_in:
                detail = f"{self._frames_out} from {self._frames_in}"
                raise TranscodeError("Encoded frames runaway", detail=detail)
            yield Picture(frame, self._plan)


def _orientation(frame: VideoFrame) -> _Orientation:
    """What the frame's display matrix wants, to the nearest quarter turn; upright for a matrix that is none."""
    try:
        # The frame's own container would keep it from going; av's stub leaves the constructor out.
        data = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    except ValueError:  # beside it is something that av has no name for; it still tells the angle
        return _BY_ANGLE[round(frame.rotation / 90) % 4]
    if not isinstance(data, SideData) or data.buffer_size != _MATRIX.size:
        return _UPRIGHT
    a, b, _, c, d, *_ = _MATRIX.unpack(bytes(data))
    wanted = (_sign(a), 0, 0, _sign(d)) if abs(a) + abs(d) >= abs(b) + abs(c) else (0, _sign(b), _sign(c), 0)
    return wanted if wanted in _TURNS else _UPRIGHT


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _graph(settings: EncodePlan, shape: _Input, frame: VideoFrame) -> Graph:
    """scale, then fps (two far-apart frames must not make us scale their duplicates), as 8-bit 4:2:0."""
    width, height = settings.width, settings.height
    if shape.is_lying:
        width, height = height, width  # turned after scaling, where there is less to turn
    graph = Graph()
    graph.threads = 1
    nodes = [
        graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=tick(frame)),
        graph.add("scale", f"w={width}:h={height}:flags=bicubic"),
        graph.add("format", "yuv420p"),
        *(graph.add(name, arguments) for name, arguments in _TURNS[shape.orientation]),
    ]
    if settings.fps is not None:
        nodes.append(graph.add("fps", f"fps={settings.fps.numerator}/{settings.fps.denominator}"))
    nodes.append(graph.add("buffersink"))
    graph.link_nodes(*nodes)
    graph.configure()
    return graph


def _pull(graph: Graph) -> Iterator[VideoFrame]:
    while True:
        try:
            frame = graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
        yield frame
