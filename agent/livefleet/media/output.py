"""One rendition on its way into a file: encode, mux. Belongs to one thread at a time."""

from __future__ import annotations  # av's generic classes are generic for the type checker only

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.stream import VideoStream

from livefleet.kernel import Pixels
from livefleet.media.encoding import KeptEncoders, configure, new_encoder
from livefleet.media.models import Container, Profile, TranscodeError
from livefleet.media.scaling import Picture, SourceShape
from livefleet.media.timing import moment, tick

__all__ = ["TS_OPTIONS", "RenditionFile"]

TS_OPTIONS = {"mpegts_copyts": "1", "avoid_negative_ts": "disabled"}
"""Timestamps come out of a TS as they went in."""

_MUXING = {
    Container.MPEGTS: ("mpegts", TS_OPTIONS),
    Container.MP4: ("mp4", {"movflags": "+faststart", "movie_timescale": "90000"}),
}


_ADTS_MOST = (1 << 13) - 1 - 7  # bytes that an ADTS frame can carry


class RenditionFile:
    """An output file being written. Pictures and audio packets go in by decoding order; `finish` completes the file."""

    def __init__(self, profile: Profile, path: Path, source: SourceShape, encoders: KeptEncoders | None = None) -> None:
        self.encoded_pixels = Pixels(0)
        self._profile = profile
        self._path = path
        self._source = source
        self._encoders = encoders
        self._container: OutputContainer | None = None
        self._video: VideoStream | None = None
        self._audio: AudioStream | None = None
        self._encoder: VideoCodecContext | None = None
        self._early_audio: list[Packet[AudioStream]] = []
        self._last_audio_dts: int | None = None
        self._next_key: Fraction | None = None

    def write_picture(self, picture: Picture) -> None:
        """Take the next picture; another size than before begins with another encoder."""
        frame = picture.frame
        encoder = self._encoder
        if encoder is not None and (encoder.width, encoder.height) != (frame.width, frame.height):
            self._flush_encoder()
            encoder = None
        first = encoder is None
        forced = self._is_forced_key(picture, first=first)
        frame.pict_type = PictureType.I if forced else PictureType.NONE
        if encoder is None:
            self._encoder, packets = self._begin(picture)
        else:
            packets = encoder.encode(frame)
        self._mux(packets)
        encoder = self._encoder
        assert encoder is not None
        self.encoded_pixels = Pixels(self.encoded_pixels + encoder.width * encoder.height)

    def write_audio(self, packet: Packet[AudioStream]) -> None:
        """Take the next audio packet; it is kept back until there is video, which has to be stream 0."""
        if self._container is None:
            self._early_audio.append(packet)
        elif self._audio is not None:
            copy = _copy(packet, self._audio, self._last_audio_dts)
            if copy is None:
                return
            self._last_audio_dts = copy.dts
            with contextlib.suppress(av.ArgumentError, av.InvalidDataError):  # a damaged packet costs itself
                self._container.mux_one(copy)

    def finish(self) -> None:
        """Flush everything and close the file. Raises TranscodeError when there was no picture."""
        if self._container is None:
            raise TranscodeError("TranscoderInvalidVideo", detail="no frame for a rendition")
        self._flush_encoder()
        if self._encoders is not None and self._encoder is not None:
            self._encoders.give_back(self._encoder)
        self.close()

    def close(self) -> None:
        """Let go of the file as it is."""
        container, self._container = self._container, None
        self._encoder = self._video = self._audio = None  # an encoder holds tens of megabytes until it goes
        if container is not None:
            container.close()

    def _is_forced_key(self, picture: Picture, *, first: bool) -> bool:
        interval, frame = picture.plan.key_interval, picture.frame
        if interval is None or frame.pts is None:
            return first
        at = moment(frame, frame.pts)
        if not first and self._next_key is not None and at < self._next_key:
            return False
        if self._next_key is None:
            self._next_key = at
        self._next_key += interval * ((at - self._next_key) // interval + 1)
        return True

    def _begin(self, picture: Picture) -> tuple[VideoCodecContext, list[Packet[VideoStream]]]:
        """An encoder for this picture and those like it, and what it says to this one."""
        encoder = self._open_container(picture) if self._container is None else None
        for packet in self._early_audio:
            self.write_audio(packet)
        self._early_audio.clear()
        if encoder is None and self._encoders is not None:
            return self._encoders.begin(picture, self._source)
        if encoder is None:
            encoder = new_encoder(picture, self._source)
        return encoder, encoder.encode(picture.frame)

    def _open_container(self, picture: Picture) -> VideoCodecContext | None:
        """Open the file; the encoder that belongs to its stream, unless they come from elsewhere."""
        name, options = _MUXING[self._profile.container]
        self._container = container = av.open(str(self._path), "w", format=name, options=options)
        if self._profile.container is Container.MPEGTS:
            container.metadata["service_provider"] = self._source.processed_by
        else:
            container.metadata["comment"] = f"Processed by {self._source.processed_by}"
        self._video, encoder = self._add_video(container, picture)
        if self._source.audio is not None:
            self._audio = container.add_stream_from_template(self._source.audio)
            self._audio.codec_context.bit_rate = self._source.audio_bit_rate or 0
        return encoder

    def _add_video(self, container: OutputContainer, picture: Picture) -> tuple[VideoStream, VideoCodecContext | None]:
        name, rate, base = picture.plan.encoder, picture.plan.frame_rate, tick(picture.frame)
        if self._encoders is not None:
            size = {"width": picture.frame.width, "height": picture.frame.height}
            stream = container.add_mux_stream(name, rate=rate, time_base=base, **size)
            assert isinstance(stream, VideoStream)
            return stream, None
        stream = container.add_stream(name, rate=rate)
        assert isinstance(stream, VideoStream)
        configure(stream.codec_context, picture, self._source)
        stream.time_base = base
        return stream, stream.codec_context

    def _flush_encoder(self) -> None:
        if self._encoder is not None:
            self._mux(self._encoder.encode(None))

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        assert self._container is not None
        assert self._video is not None
        for packet in packets:
            packet.stream = self._video
            self._container.mux_one(packet)


def _copy(packet: Packet[AudioStream], stream: AudioStream, last_dts: int | None) -> Packet[AudioStream] | None:
    """Muxing changes a packet, and the renditions share it. None for one that no muxer would take.

    Times that run backwards go on by a tick.
    """
    if packet.dts is None or packet.pts is None or not _is_whole(packet):
        return None
    copy = cast("Packet[AudioStream]", Packet(bytes(packet)))
    copy.dts = packet.dts if last_dts is None else max(packet.dts, last_dts + 1)
    copy.pts = max(packet.pts, copy.dts)
    copy.duration = packet.duration
    copy.time_base = packet.time_base
    copy.is_keyframe = packet.is_keyframe
    copy.stream = stream
    return copy


def _is_whole(packet: Packet[AudioStream]) -> bool:
    """Whether AAC looks like AAC. The muxer notices only later, and blames whichever packet it is then given."""
    context = packet.stream.codec_context
    if context.name != "aac":
        return True
    if context.extradata:
        return packet.size <= _ADTS_MOST
    head = bytes(memoryview(packet)[:2])
    return len(head) == 2 and head[0] == 0xFF and head[1] & 0xF0 == 0xF0
