"""The video decoder of a source: the container's own, or one kept from the session's last segment."""

from __future__ import annotations  # av's generic classes are generic for the type checker only

from dataclasses import dataclass

import av
from av.codec.hwaccel import HWAccel
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from livefleet.kernel import SessionId
from livefleet.media.warm import Shelf, Use

__all__ = ["KeptDecoder"]

_PLACE = -1  # before the renditions' encoders


@dataclass(slots=True)
class KeptDecoder:
    """One segment's view of the shelf. Belongs to one thread at a time."""

    shelf: Shelf[VideoCodecContext]
    session: SessionId
    hwaccel: HWAccel | None
    _use: Use | None = None

    def begin(self, stream: VideoStream, options: dict[str, str]) -> VideoCodecContext:
        """A decoder for the stream, with no frames in it. Raises av.FFmpegError when it does not open."""
        about = stream.codec_context
        shape = (about.codec.name, about.extradata, about.width, about.height, about.format and about.format.name)
        self._use = use = Use(self.session, _PLACE, (*shape, *sorted(options.items())))
        kept = self.shelf.take(use)
        if kept is not None:
            self.shelf.reused += 1
            return kept
        decoder = av.CodecContext.create(about.codec.name, "r", self.hwaccel)
        assert isinstance(decoder, VideoCodecContext)
        decoder.extradata = about.extradata
        decoder.thread_count = 1
        decoder.options = dict(options)
        decoder.open()
        return decoder

    def give_back(self, decoder: VideoCodecContext) -> None:
        """Keep a decoder that has given all its frames, none of them damaged."""
        if self._use is not None:
            decoder.flush_buffers()
            self.shelf.keep(self._use, decoder)
