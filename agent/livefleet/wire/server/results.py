"""Where results go: the gateway's object store, else our own, else this node's memory.

A store that does not take a file costs nobody anything: that file lies in memory, its URL points here, and gateways
fetch from wherever a URL points.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from livefleet.kernel import OutsideWorld, SessionId
from livefleet.media import Container, Rendition
from livefleet.wire.messages import SegmentOutcome, StoredRendition
from livefleet.wire.segment import SegmentCredentials
from livefleet.wire.server.sessions import IDLE_S, QUEUE, TranscodingSessions
from livefleet.wire.server.stream_store import StreamStore
from livefleet.wire.storage import OwnStore, StoreGrant, Uploader, object_name

__all__ = ["Results", "SegmentResults"]

log = logging.getLogger(__name__)

_EXTENSIONS = {Container.MPEGTS: ".ts", Container.MP4: ".mp4"}
_MEDIA_TYPES = {Container.MPEGTS: "video/mp2t", Container.MP4: "video/mp4"}
_HASH_TYPE = "application/octet-stream"
_HASH_EXTENSION = ".phash"

# A gateway waits max(8 s, 4 durations) for the whole answer; this much before that, what is not uploaded is given up.
_LEAST_CALL_S = 8.0
_CALL_PER_DURATION = 4
_MARGIN_S = 1.5
_UPLOAD_S = 10.0  # the reference's limit for one file

_Upload = Callable[[str, bytes, str, float], Awaitable[str]]  # name, data, media type, seconds -> URL


class Results:
    """Places for results. `uploader` sends to hosts that gateways name, which its client must be careful with."""

    def __init__(
        self,
        *,
        memory: StreamStore,
        sessions: TranscodingSessions[SegmentOutcome],
        uploader: Uploader,
        own: OwnStore | None = None,
    ) -> None:
        self.memory = memory
        self._sessions = sessions
        self._uploader = uploader
        self._own = own
        self._uploading: Counter[SessionId] = Counter()
        self.uploaded = 0
        """Files that an object store took."""
        self.not_uploaded = 0
        """Files that one should have taken, and that lie in memory instead."""

    def begin(self, session: SessionId, credentials: SegmentCredentials) -> "SegmentResults":
        """For a segment that has just been taken."""
        return SegmentResults(self, session, credentials, self._upload_for(session, credentials.storage))

    def is_open(self, session: SessionId) -> bool:
        """Whether a session's end is still to come, which will clear its files."""
        return session in self._sessions

    def knows(self, url: str, credentials: SegmentCredentials) -> bool:
        """Whether a source lies where this segment's results go, and so where workers may fetch it too."""
        if credentials.storage is not None:
            return credentials.storage.holds(url)
        return self._own is not None and self._own.holds(url)

    @contextmanager
    def turn(self, session: SessionId) -> Iterator[bool]:
        """Whether a session may upload now. No more results wait for a slow store than sources may wait for us."""
        may = self._uploading[session] <= QUEUE
        self._uploading[session] += 1
        try:
            yield may
        finally:
            self._uploading[session] -= 1
            if not self._uploading[session]:
                del self._uploading[session]

    def _upload_for(self, session: SessionId, theirs: StoreGrant | None) -> _Upload | None:
        own, uploader = self._own, self._uploader
        if theirs is not None:
            grant = theirs

            async def to_gateway(name: str, data: bytes, media_type: str, timeout_s: float) -> str:
                return await uploader.upload(grant, name, data, media_type, timeout_s=timeout_s)

            return to_gateway
        if own is not None and (granted := own.grant(session)) is not None:
            keep, store = granted, own

            async def to_own(name: str, data: bytes, media_type: str, timeout_s: float) -> str:
                return await store.upload(keep, name, data, media_type, timeout_s=timeout_s)

            return to_own
        return None


@dataclass(frozen=True, slots=True)
class _File:
    """A file of a result: a rendition, or its hash."""

    folder: str
    name: str
    data: bytes
    media_type: str


class SegmentResults:
    """One segment's results: taken in the session's turn, uploaded after it, so that the next segment need not wait."""

    def __init__(
        self, results: Results, session: SessionId, credentials: SegmentCredentials, upload: _Upload | None
    ) -> None:
        self._results = results
        self._session = session
        self._credentials = credentials
        self._upload = upload
        self._renditions: Sequence[Rendition] = ()
        call_s = max(_LEAST_CALL_S, _CALL_PER_DURATION * credentials.duration_ms / 1000)
        self._ends_at = asyncio.get_running_loop().time() + call_s - _MARGIN_S

    def take(self, renditions: Sequence[Rendition]) -> tuple[StoredRendition, ...]:
        """Results as they come from the transcoder. Those for an object store have no URL before `settle`."""
        if self._upload is not None:
            self._renditions = renditions
            return tuple(StoredRendition("", rendition.pixels) for rendition in renditions)
        return tuple(
            StoredRendition(urls[0], rendition.pixels, *urls[1:])
            for rendition, files in self._files(renditions)
            for urls in [[self._remember(file) for file in files]]
        )

    async def settle(self, outcome: SegmentOutcome) -> SegmentOutcome:
        """The outcome with every file's URL. Takes no longer than the gateway waits."""
        if self._upload is None or outcome.error is not None:
            return outcome
        with self._results.turn(self._session) as may:
            async with asyncio.TaskGroup() as group:
                uploads = [
                    (rendition, [group.create_task(self._put(file, may=may)) for file in files])
                    for rendition, files in self._files(self._renditions)
                ]
        stored = tuple(
            StoredRendition(urls[0], rendition.pixels, *urls[1:])
            for rendition, tasks in uploads
            for urls in [[task.result() for task in tasks]]
        )
        return replace(outcome, renditions=stored)

    async def _put(self, file: _File, *, may: bool) -> str:
        assert self._upload is not None
        left_s = min(_UPLOAD_S, self._ends_at - asyncio.get_running_loop().time())
        if may and left_s > 0:
            try:
                url = await self._upload(object_name(file.folder, file.name), file.data, file.media_type, left_s)
            except OutsideWorld as error:
                log.warning("results.not_uploaded", extra={"session": self._session, "error": str(error)})
            else:
                self._results.uploaded += 1
                return url
        self._results.not_uploaded += 1
        return self._remember(file)

    def _remember(self, file: _File) -> str:
        """A session that has ended meanwhile clears nothing any more: its files go by time."""
        keep_s = None if self._upload is None or self._results.is_open(self._session) else IDLE_S
        return self._results.memory.put(self._session, file.folder, file.name, file.data, keep_s=keep_s)

    def _files(self, renditions: Sequence[Rendition]) -> Iterator[tuple[Rendition, list[_File]]]:
        for profile, rendition in zip(self._credentials.profiles, renditions, strict=True):
            name = f"{self._credentials.sequence}{_EXTENSIONS[profile.container]}"
            files = [_File(profile.name, name, rendition.data, _MEDIA_TYPES[profile.container])]
            if rendition.perceptual_hash is not None:
                files.append(_File(profile.name, name + _HASH_EXTENSION, rendition.perceptual_hash, _HASH_TYPE))
            yield rendition, files
