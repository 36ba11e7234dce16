"""One rendition on its way into a file: scale, change rate, encode, mux. Belongs to one thread at a time."""

from __future__ import annotations  # av's generic classes are generic for the type checker only

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.filter import Graph
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from livefleet.kernel import Pixels
from livefleet.media.device import DeviceKind
from livefleet.media.models import Container, Profile, TranscodeError
from livefleet.media.rendition import EncodePlan, plan
from livefleet.media.timing import moment, tick

__all__ = ["TS_OPTIONS", "RenditionFile", "SourceShape"]

_RUNAWAY_FACTOR = 25
TS_OPTIONS = {"mpegts_copyts": "1", "avoid_negative_ts": "disabled"}
"""Timestamps come out of a TS as they went in."""

_MUXING = {
    Container.MPEGTS: ("mpegts", TS_OPTIONS),
    Container.MP4: ("mp4", {"movflags": "+faststart", "movie_timescale": "90000"}),
}


@dataclass(frozen=True, slots=True)
class SourceShape:
    """What every rendition of a segment has in common."""

    kind: DeviceKind
    rate: Fraction | None  # frames a second as the container tells
    aspect: Fraction | None  # of one sample; None when square
    audio: AudioStream | None  # copied as it is
    processed_by: str  # for the outputs' metadata


class RenditionFile:
    """An output file being written. Frames and audio packets go in by decoding order; `finish` completes the file."""

    def __init__(self, profile: Profile, path: Path, source: SourceShape) -> None:
        self.encoded_pixels = Pixels(0)
        self._profile = profile
        self._path = path
        self._source = source
        self._frames_in = 0
        self._frames_out = 0
        self._graph: Graph | None = None
        self._graph_input: tuple[int, int, str] | None = None
        self._plan: EncodePlan | None = None
        self._container: OutputContainer | None = None
        self._video: VideoStream | None = None
        self._audio: AudioStream | None = None
        self._encoder: VideoCodecContext | None = None
        self._early_audio: list[Packet[AudioStream]] = []
        self._next_key: Fraction | None = None

    def write_frame(self, frame: VideoFrame) -> None:
        """Take the next decoded frame."""
        self._frames_in += 1
        shape = (frame.width, frame.height, frame.format.name)
        if self._graph is None or shape != self._graph_input:
            self._rebuild(frame)
        assert self._graph is not None
        self._graph.vpush(frame)
        self._drain_graph()

    def write_audio(self, packet: Packet[AudioStream]) -> None:
        """Take the next audio packet; it is kept back until there is video, which has to be stream 0."""
        if self._container is None:
            self._early_audio.append(packet)
        elif self._audio is not None:
            self._container.mux_one(_copy(packet, self._audio))

    def finish(self) -> None:
        """Flush everything and close the file. Raises TranscodeError when there was no frame."""
        if self._graph is not None:
            self._graph.vpush(None)
            self._drain_graph()
        if self._container is None:
            raise TranscodeError("TranscoderInvalidVideo", detail="no frame for a rendition")
        self._flush_encoder()
        self.close()

    def close(self) -> None:
        """Let go of the file as it is."""
        container, self._container = self._container, None
        if container is not None:
            container.close()

    def _rebuild(self, frame: VideoFrame) -> None:
        """A graph for this kind of frame, and another encoder where the output's size follows."""
        if self._graph is not None:
            self._graph.vpush(None)
            self._drain_graph()
        wanted = plan(self._profile, self._source.kind, frame.width, frame.height, self._source.rate)
        if self._plan is not None and (wanted.width, wanted.height) != (self._plan.width, self._plan.height):
            if self._profile.container is Container.MP4:  # one sample description a track: keep the first size
                wanted = self._plan
            else:
                self._flush_encoder()
                self._encoder = None
        self._plan = wanted
        self._graph = _graph(wanted, frame)
        self._graph_input = (frame.width, frame.height, frame.format.name)

    def _drain_graph(self) -> None:
        assert self._graph is not None
        for frame in _pull(self._graph):
            self._encode(frame)

    def _encode(self, frame: VideoFrame) -> None:
        self._frames_out += 1
        if self._frames_out > _RUNAWAY_FACTOR * self._frames_in:
            raise TranscodeError("Encoded frames runaway", detail=f"{self._frames_out} from {self._frames_in}")
        first = self._encoder is None
        encoder = self._encoder or self._open_encoder(frame)
        frame.pict_type = PictureType.I if self._is_forced_key(frame, first=first) else PictureType.NONE
        self._mux(encoder.encode(frame))
        self.encoded_pixels = Pixels(self.encoded_pixels + encoder.width * encoder.height)

    def _is_forced_key(self, frame: VideoFrame, *, first: bool) -> bool:
        assert self._plan is not None
        interval = self._plan.key_interval
        if interval is None or frame.pts is None:
            return first
        at = moment(frame, frame.pts)
        if not first and self._next_key is not None and at < self._next_key:
            return False
        while self._next_key is None or self._next_key <= at:
            self._next_key = (at if self._next_key is None else self._next_key) + interval
        return True

    def _open_encoder(self, frame: VideoFrame) -> VideoCodecContext:
        settings = self._plan
        assert settings is not None
        if self._container is None:
            encoder = self._open_container(settings, frame)
        else:
            encoder = _video_encoder(settings.encoder)
            _configure(encoder, settings, frame, self._source)
        self._encoder = encoder
        for packet in self._early_audio:
            self.write_audio(packet)
        self._early_audio.clear()
        return encoder

    def _open_container(self, settings: EncodePlan, frame: VideoFrame) -> VideoCodecContext:
        name, options = _MUXING[self._profile.container]
        self._container = container = av.open(str(self._path), "w", format=name, options=options)
        if self._profile.container is Container.MPEGTS:
            container.metadata["service_provider"] = self._source.processed_by
        else:
            container.metadata["comment"] = f"Processed by {self._source.processed_by}"
        stream = container.add_stream(settings.encoder, rate=settings.frame_rate)
        assert isinstance(stream, VideoStream)
        _configure(stream.codec_context, settings, frame, self._source)
        stream.time_base = tick(frame)
        self._video = stream
        if self._source.audio is not None:
            self._audio = container.add_stream_from_template(self._source.audio)
        return stream.codec_context

    def _flush_encoder(self) -> None:
        if self._encoder is not None:
            self._mux(self._encoder.encode(None))

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        assert self._container is not None
        assert self._video is not None
        for packet in packets:
            packet.stream = self._video
            self._container.mux_one(packet)


def _copy(packet: Packet[AudioStream], stream: AudioStream) -> Packet[AudioStream]:
    """Muxing changes a packet, and the renditions share it."""
    copy = cast("Packet[AudioStream]", Packet(bytes(packet)))
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    copy.time_base = packet.time_base
    copy.is_keyframe = packet.is_keyframe
    copy.stream = stream
    return copy


def _graph(settings: EncodePlan, frame: VideoFrame) -> Graph:
    """scale, then fps (two far-apart frames must not make us scale their duplicates), as 8-bit 4:2:0."""
    graph = Graph()
    graph.threads = 1
    nodes = [
        graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=tick(frame)),
        graph.add("scale", f"w={settings.width}:h={settings.height}:flags=bicubic"),
        graph.add("format", "yuv420p"),
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


def _video_encoder(name: str) -> VideoCodecContext:
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, VideoCodecContext)
    return encoder


def _configure(encoder: VideoCodecContext, settings: EncodePlan, frame: VideoFrame, source: SourceShape) -> None:
    encoder.width, encoder.height = settings.width, settings.height
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = tick(frame)
    encoder.framerate = settings.frame_rate
    encoder.thread_count = 1  # measured: CPU time equals wall time and many streams share the cores best
    encoder.options = dict(settings.options)
    if source.aspect is not None:
        encoder.sample_aspect_ratio = source.aspect
