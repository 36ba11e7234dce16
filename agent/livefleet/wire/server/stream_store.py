"""Files under /stream: renditions for gateways, sources for workers, images. In memory, a short while."""

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote

from livefleet.kernel import Clock

__all__ = ["MAX_FOLDERS", "RING_SIZE", "StoredFile", "StreamStore"]

RING_SIZE = 12
"""Files kept per folder; one more drops the oldest."""

MAX_FOLDERS = 24
"""Folders kept per session, or one that renames its renditions would fill the memory; one more drops the one written
longest ago."""

_MEDIA_TYPES = {
    ".ts": "video/mp2t",
    ".mp4": "video/mp4",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".gif": "image/gif",
    ".wav": "audio/wav",
}


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file's bytes and what to call them."""

    data: bytes
    media_type: str | None


class StreamStore:
    """`/stream/<session>/<folder>/<file>`. The session id is the only secret; whoever knows it may read."""

    def __init__(self, service_uri: str, clock: Clock) -> None:
        self._base = f"{service_uri}/stream"
        self._clock = clock
        self._sessions: dict[str, OrderedDict[str, OrderedDict[str, StoredFile]]] = {}
        self._expiry: dict[str, float] = {}  # monotonic seconds
        self._unread: set[tuple[str, str, str]] = set()  # session, folder, file

    @property
    def unread(self) -> int:
        """Files that nobody has asked for yet."""
        return len(self._unread)

    def put(self, session: str, folder: str, name: str, data: bytes, *, keep_s: float | None = None) -> str:
        """Store a file and return its URL. With `keep_s` the whole session goes after that time."""
        self._sweep()
        folders = self._sessions.setdefault(session, OrderedDict())
        ring = folders.setdefault(folder, OrderedDict())
        folders.move_to_end(folder)
        if len(folders) > MAX_FOLDERS:
            stale, files = folders.popitem(last=False)
            self._unread.difference_update((session, stale, file) for file in files)
        ring.pop(name, None)
        ring[name] = StoredFile(data, _MEDIA_TYPES.get(PurePosixPath(name).suffix))
        self._unread.add((session, folder, name))
        if len(ring) > RING_SIZE:
            oldest, _ = ring.popitem(last=False)
            self._unread.discard((session, folder, oldest))
        if keep_s is not None:
            self._expiry[session] = self._clock.monotonic() + keep_s
        path = "/".join(quote(part, safe="") for part in (session, folder, name) if part)
        return f"{self._base}/{path}"

    def get(self, path: str) -> StoredFile | None:
        """The file at what follows `/stream/`, percent decoding done."""
        self._sweep()
        session, _, rest = path.partition("/")
        folder, _, name = rest.rpartition("/")
        self._unread.discard((session, folder, name))
        return self._ring(session, folder).get(name)

    def discard(self, session: str, folder: str, name: str) -> None:
        """Forget one file."""
        self._ring(session, folder).pop(name, None)
        self._unread.discard((session, folder, name))

    def holds(self, session: str) -> bool:
        """Whether there are files of a session."""
        self._sweep()
        return session in self._sessions

    def drop(self, session: str) -> None:
        """Forget a session's files."""
        self._sessions.pop(session, None)
        self._expiry.pop(session, None)
        self._unread = {file for file in self._unread if file[0] != session}

    def _ring(self, session: str, folder: str) -> OrderedDict[str, StoredFile]:
        """The folder's files; an empty one of nobody's where there is no such folder."""
        return self._sessions.get(session, OrderedDict()).get(folder, OrderedDict())

    def _sweep(self) -> None:
        now = self._clock.monotonic()
        for session in [s for s, at in self._expiry.items() if at <= now]:
            self.drop(session)
