"""Video encoders: opened for a segment, or kept for the next one of the session."""

from __future__ import annotations  # av's generic classes are generic for the type checker only

from functools import partial

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from livefleet.kernel import SessionId
from livefleet.media.scaling import Picture, SourceShape
from livefleet.media.timing import tick
from livefleet.media.warm import Shelf, Use

__all__ = ["KeptEncoders", "configure", "new_encoder"]


def new_encoder(picture: Picture, source: SourceShape) -> VideoCodecContext:
    """An encoder of its own for pictures like this one. Raises av.FFmpegError when it does not open."""
    encoder = av.CodecContext.create(picture.plan.encoder, "w")
    assert isinstance(encoder, VideoCodecContext)
    configure(encoder, picture, source)
    encoder.open()
    return encoder


def configure(encoder: VideoCodecContext, picture: Picture, source: SourceShape) -> None:
    """Set an encoder that is not open yet to what the picture's plan says."""
    frame = picture.frame
    encoder.width, encoder.height = frame.width, frame.height
    encoder.pix_fmt = frame.format.name
    encoder.time_base = tick(frame)
    encoder.framerate = picture.plan.frame_rate
    encoder.thread_count = 1  # measured: CPU time equals wall time and many streams share the cores best
    encoder.options = dict(picture.plan.options)
    if source.aspect is not None:
        encoder.sample_aspect_ratio = source.aspect


class KeptEncoders:
    """One rendition's view of the shelf, for one segment. Belongs to one thread at a time."""

    def __init__(self, shelf: Shelf[VideoCodecContext], session: SessionId, place: int) -> None:
        self._shelf = shelf
        self._session = session
        self._place = place
        self._use: Use | None = None

    def begin(self, picture: Picture, source: SourceShape) -> tuple[VideoCodecContext, list[Packet[VideoStream]]]:
        """An encoder that has taken the first picture, and its packets. A kept one that does not is replaced."""
        self._use = use = self._use_of(picture, source)
        kept = self._shelf.take(use)
        if kept is not None:
            try:
                packets = kept.encode(picture.frame)
            except av.FFmpegError:  # it cannot be used again after all
                del kept
            else:
                self._shelf.reused += 1
                return kept, packets
        encoder = self._shelf.open(partial(new_encoder, picture, source))
        return encoder, encoder.encode(picture.frame)

    def give_back(self, encoder: VideoCodecContext) -> None:
        """Keep an encoder that has been drained, for the next segment."""
        if self._use is not None:
            encoder.flush_buffers()
            self._shelf.keep(self._use, encoder)

    def _use_of(self, picture: Picture, source: SourceShape) -> Use:
        plan, frame = picture.plan, picture.frame
        options = tuple(sorted(plan.options.items()))
        shape = (frame.width, frame.height, frame.format.name, tick(frame), source.aspect)
        return Use(self._session, self._place, (plan.encoder, options, plan.frame_rate, *shape))
