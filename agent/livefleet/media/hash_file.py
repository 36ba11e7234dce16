"""A rendition's perceptual hash on its way into a file. Whatever happens to it, the rendition itself is delivered."""

from __future__ import annotations  # av's generic classes are generic for the type checker only

from pathlib import Path

from av.video.frame import VideoFrame

from livefleet.media.signature import VideoSignature

__all__ = ["HashFile"]


class HashFile:
    """Takes the frames that the encoder gets. Belongs to one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._signature = VideoSignature()

    def add(self, frame: VideoFrame) -> None:
        """See the next frame, before the encoder: 8-bit 4:2:0."""
        self._signature.add(frame)

    def finish(self) -> None:
        """Write the file; none where there is no room for it."""
        data = self._signature.binary()
        try:
            self._path.write_bytes(data)
        except OSError:
            self._path.unlink(missing_ok=True)
