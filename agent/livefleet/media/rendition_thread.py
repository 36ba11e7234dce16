"""A rendition's own thread, so that one stream uses more than one core while each encoder uses one."""

from __future__ import annotations  # av's generic classes are generic for the type checker only

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import av
from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.frame import VideoFrame

from livefleet.media.hash_file import HashFile
from livefleet.media.output import RenditionFile
from livefleet.media.scaling import Picture, Scaler

__all__ = ["RenditionThread"]

_AHEAD = 4  # frames that decoding may be ahead of the slowest encoder; a 1080p frame is 3 MB, shared by the renditions


@dataclass(frozen=True, slots=True)
class _End:
    """Nothing more comes; the file is to be completed, or left as it is."""

    complete: bool


class RenditionThread:
    """Scales, encodes and writes one rendition. `on_end` is called on that thread once the encoder is gone."""

    def __init__(
        self, scaler: Scaler, file: RenditionFile, hash_file: HashFile | None, *, on_end: Callable[[], None]
    ) -> None:
        self.file = file
        self._hash_file = hash_file
        self._scaler = scaler
        self._on_end = on_end
        self._error: BaseException | None = None
        self._has_ended = False
        self._room = threading.Semaphore(_AHEAD)
        self._queue: queue.SimpleQueue[VideoFrame | Packet[AudioStream] | _End] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="rendition", daemon=True)
        self._thread.start()

    def put(self, item: VideoFrame | Packet[AudioStream] | _End) -> None:
        """Hand on the next item; waits while the encoder is behind. Raises what stopped the encoder."""
        if self._error is not None:
            raise self._error
        if isinstance(item, VideoFrame):
            self._room.acquire()
        self._queue.put(item)

    def end(self) -> None:
        """Have the file completed; `wait` for it."""
        self.put(_End(complete=True))

    def wait(self) -> None:
        """Wait for the file to be complete. Raises what stopped the encoder."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def abandon(self) -> None:
        """Stop, whatever the file's state; nothing after `end`."""
        if self._thread.is_alive():
            self._queue.put(_End(complete=False))
            self._thread.join()

    def _run(self) -> None:
        try:
            self._write()
        except BaseException as error:  # noqa: BLE001 -- raised again by the thread that feeds this one
            self._error = error
            with contextlib.suppress(av.FFmpegError):  # the first failure counts
                self.file.close()
            self._on_end()
            self._discard()
        else:
            self._on_end()

    def _write(self) -> None:
        while True:
            match item := self._queue.get():
                case _End(complete=complete):
                    self._has_ended = True
                    if complete:
                        self._take(self._scaler.rest())
                        self.file.finish()
                        if self._hash_file is not None:
                            self._hash_file.finish()
                    else:
                        self.file.close()
                    return
                case VideoFrame():
                    self._take(self._scaler.pictures(item))
                    self._room.release()
                case _:
                    self.file.write_audio(item)

    def _take(self, pictures: Iterable[Picture]) -> None:
        for picture in pictures:
            if self._hash_file is not None:
                self._hash_file.add(picture.frame)
            self.file.write_picture(picture)

    def _discard(self) -> None:
        """Let go of what still comes, so that nobody waits for room."""
        self._room.release()
        while not self._has_ended and not isinstance(self._queue.get(), _End):
            self._room.release()
