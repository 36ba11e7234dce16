"""The node's own object store: offered to gateways while it takes files, and filled with results."""

import asyncio
from types import TracebackType
from typing import Self

import httpx

from livefleet.kernel import Clock, Condition, ConditionBoard, OutsideWorld, Status
from livefleet.wire.storage.models import StoreGrant, lies_under
from livefleet.wire.storage.names import object_name
from livefleet.wire.storage.store import ObjectStore
from livefleet.wire.storage.uploader import Uploader

__all__ = ["OBJECT_STORE_WRITABLE", "OwnStore"]

OBJECT_STORE_WRITABLE = "ObjectStoreWritable"

_GRANT_LIFE_S = 24 * 3600
"""The reference's. Gateways keep sessions in reserve for hours and upload by what they were told at the beginning;
one whose policy has ended meanwhile blames the orchestrator."""

_LOOK_EVERY_S = 30.0  # while it does not take files
_LOOK_TIMEOUT_S = 10.0
_PROBE_FOLDER = "livefleet"
_PROBE_FILE = "probe.txt"


class OwnStore:
    """Writable or not is found out by a small upload at the start, after each failure, and by every result.

    A gateway suspends an orchestrator whose offered store does not take its sources, so none is offered in doubt.
    """

    def __init__(
        self, store: ObjectStore, *, board: ConditionBoard, clock: Clock, look_every_s: float = _LOOK_EVERY_S
    ) -> None:
        self._store = store
        self._board = board
        self._clock = clock
        self._look_every_s = look_every_s
        self._client = httpx.AsyncClient()
        self._uploader = Uploader(self._client)
        self._group = asyncio.TaskGroup()
        self._watch: asyncio.Task[None] | None = None
        self._in_doubt = asyncio.Event()
        self.is_writable = False

    async def __aenter__(self) -> Self:
        self._in_doubt.set()
        await self._group.__aenter__()
        self._watch = self._group.create_task(self._keep_looking(), name="object-store")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watch is not None:
            self._watch.cancel()
        await self._group.__aexit__(None, None, None)  # an error of the block is its own, none of the group's
        await self._client.aclose()

    @property
    def client(self) -> httpx.AsyncClient:
        """For reading from the store: unlike with peers' URLs, the operator said where it is."""
        return self._client

    def holds(self, url: str) -> bool:
        """Whether a URL is one of this store."""
        return lies_under(self._store.host, url)

    def grant(self, session: str) -> StoreGrant | None:
        """What a session may upload by; None while the store is in doubt."""
        return self._grant(object_name(session)) if self.is_writable else None

    async def upload(self, grant: StoreGrant, name: str, data: bytes, media_type: str, *, timeout_s: float) -> str:
        """The file's URL. Raises OutsideWorld, and has the store looked at."""
        try:
            return await self._uploader.upload(grant, name, data, media_type, timeout_s=timeout_s)
        except OutsideWorld:
            self._in_doubt.set()
            raise

    async def _keep_looking(self) -> None:
        while True:
            await self._in_doubt.wait()
            self._in_doubt.clear()
            await self._look()
            if not self.is_writable:
                self._in_doubt.set()
                await asyncio.sleep(self._look_every_s)

    async def _look(self) -> None:
        try:
            url = await self._uploader.upload(
                self._grant(_PROBE_FOLDER), _PROBE_FILE, b"livefleet", "text/plain", timeout_s=_LOOK_TIMEOUT_S
            )
        except OutsideWorld as error:
            self.is_writable = False
            self._report(Status.FALSE, "UploadFailed", f"{error}; results stay in this node's memory meanwhile")
        else:
            self.is_writable = True
            self._report(Status.TRUE, "Writable", f"{url} was written")

    def _grant(self, folder: str) -> StoreGrant:
        return self._store.grant(folder, self._clock.now(), _GRANT_LIFE_S)

    def _report(self, status: Status, reason: str, message: str) -> None:
        self._board.report(Condition(OBJECT_STORE_WRITABLE, status, reason, message, gates_ready=False))
