"""What gateways get back from AI work: JSON whose files lie in a store for a while, or the files in it."""

import asyncio
import logging
import random
from collections import OrderedDict
from collections.abc import Awaitable, Iterator
from typing import Any

from starlette.responses import Response

from livefleet.ai import AiJob, AiResult, Media, rendered
from livefleet.kernel import OutsideWorld, Refused, SessionId
from livefleet.spec import Pipeline
from livefleet.wire.ai_results import EXTENSIONS
from livefleet.wire.auth import new_id
from livefleet.wire.server.source_memory import usable_memory
from livefleet.wire.server.stream_store import StreamStore
from livefleet.wire.storage import OwnStore, StoreGrant, object_name

__all__ = ["AiAnswers"]

log = logging.getLogger(__name__)

_KEEP_S = 600.0
_SHARE = 8  # of the machine's memory: models, sources and renditions want theirs
_LEAST = 300_000_000
_UPLOAD_S = 10.0  # the reference's limit for one file
_INLINE = frozenset({Pipeline.TEXT_TO_IMAGE, Pipeline.IMAGE_TO_IMAGE, Pipeline.UPSCALE})
"""The pipelines from before results had URLs: gateways of that time expect the pictures inside."""


class AiAnswers:
    """Stores results, in the node's own object store where it has one, else in memory for 10 minutes.

    An object store that does not take a file costs nobody anything: that file lies in memory. Where all of them there
    would be more than `limit` bytes, the oldest results go before their time; None: an eighth of what we may use.
    """

    def __init__(
        self, *, memory: StreamStore, own: OwnStore | None, rng: random.Random, limit: int | None = None
    ) -> None:
        self._memory = memory
        self._own = own
        self._rng = rng
        self._limit = max(_LEAST, usable_memory() // _SHARE) if limit is None else limit
        self._kept: OrderedDict[str, int] = OrderedDict()  # bytes by folder, oldest first

    async def of(self, job: AiJob, result: AiResult, *, new_gateway: bool) -> Response:
        """The answer. Raises Refused (500) for a result that no gateway could use."""
        for media in result.media.values():
            if media.content_type not in EXTENSIONS:
                raise Refused(f"unsupported image format: {media.content_type[:80]}", status=500)
        if not new_gateway and job.pipeline in _INLINE:
            return await _json(result.with_data_urls())
        found: list[Media] = []

        def note(media: Media) -> str:
            found.append(media)
            return ""

        result.with_urls(note)
        urls = iter(await self._stored(found))
        return await _json(result.with_urls(lambda _: next(urls)))

    async def _stored(self, files: list[Media]) -> list[str]:
        """A URL each, in their order."""
        folder = new_id(self._rng)
        grant = None if self._own is None else self._own.grant(SessionId(folder))
        return await asyncio.gather(*self._puts(folder, files, grant))

    def _puts(self, folder: str, files: list[Media], grant: StoreGrant | None) -> Iterator[Awaitable[str]]:
        for media in files:
            yield self._put(folder, f"{new_id(self._rng)}{EXTENSIONS[media.content_type]}", media, grant)

    async def _put(self, folder: str, name: str, media: Media, grant: StoreGrant | None) -> str:
        if grant is not None and self._own is not None:
            try:
                return await self._own.upload(
                    grant, object_name(name), media.data, media.content_type, timeout_s=_UPLOAD_S
                )
            except OutsideWorld as error:
                log.warning("results.not_uploaded", extra={"session": folder, "error": str(error)})
        return self._keep(folder, name, media.data)

    def _keep(self, folder: str, name: str, data: bytes) -> str:
        self._forget_expired()
        self._kept[folder] = self._kept.get(folder, 0) + len(data)
        while sum(self._kept.values()) > self._limit and next(iter(self._kept)) != folder:
            oldest, size = self._kept.popitem(last=False)
            self._memory.drop(oldest)
            log.warning("results.dropped_early", extra={"session": oldest, "bytes": size})
        return self._memory.put(folder, "", name, data, keep_s=_KEEP_S)

    def _forget_expired(self) -> None:
        """Those whose files the store has dropped by their time."""
        while self._kept and not self._memory.holds(oldest := next(iter(self._kept))):
            del self._kept[oldest]


async def _json(body: dict[str, Any]) -> Response:
    try:
        return Response(await rendered(body), media_type="application/json")
    except ValueError as error:
        raise Refused(f"the result is no JSON: {error}", status=500) from error
