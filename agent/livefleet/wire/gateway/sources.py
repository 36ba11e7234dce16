"""Where a source goes: into the request, or into an object store whose URL is sent in its place.

As stock gateways do: into the store that the orchestrator offers, else into the gateway's own, else into the request.
"""

import time
from collections.abc import Callable

import httpx

from livefleet.media.segmenter import SourceSegment
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.storage import ObjectStore, StoreGrant, Uploader, object_name
from livefleet.wire.translate import storage_from_proto

__all__ = ["SourceUploads"]

_GRANT_LIFE_S = 24 * 3600
_UPLOAD_S = 10.0
_MEDIA_TYPE = "video/mp2t"
_BYTES, _URL = "video/MP2T", "application/vnd+livepeer.uri"


class SourceUploads:
    """Uploads one stream's sources. `store` is the gateway's own."""

    def __init__(self, manifest_id: str, store: ObjectStore | None, now: Callable[[], float] = time.time) -> None:
        self._manifest_id = manifest_id
        self._store = store
        self._now = now
        self._client = httpx.AsyncClient()
        self._uploader = Uploader(self._client)

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()

    def grant(self, session: str) -> StoreGrant | None:
        """What an orchestrator may put its results by; a folder a session, so that none writes over another's."""
        if self._store is None:
            return None
        return self._store.grant(object_name(self._manifest_id, session), self._now(), _GRANT_LIFE_S)

    async def body(self, info: pb.OrchestratorInfo, segment: SourceSegment) -> tuple[bytes, str]:
        """A request's body and its content type. Raises OutsideWorld when the store does not take the source."""
        offered = storage_from_proto(info.storage[0]) if info.storage else None
        grant = offered or self.grant(info.auth_token.session_id)
        if grant is None:
            return segment.data, _BYTES
        name = object_name("source", f"{segment.sequence}.ts")
        url = await self._uploader.upload(grant, name, segment.data, _MEDIA_TYPE, timeout_s=_UPLOAD_S)
        return url.encode(), _URL
