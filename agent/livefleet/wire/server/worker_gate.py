"""Who may come in as a worker: by the fleet's secret and, until a declared time, by the one before it.

Both are taken during the window, so that workers can move one by one, in any order and without losing their streams.
A worker counts as moved by what it showed last: when it registered, or when it brought a result.
"""

import asyncio
import hmac
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self

from livefleet.kernel import Clock, Condition, ConditionBoard, Status

__all__ = ["CONDITION", "Doorway", "SecretAge", "WorkerGate", "WorkerSecrets"]

log = logging.getLogger(__name__)

CONDITION = "WorkersOnCurrentSecret"

_LOOK_S = 1.0
_NAMED = 5  # of the workers that have not moved


class SecretAge(StrEnum):
    """Which of the secrets a worker has shown."""

    CURRENT = "current"
    FORMER = "former"


@dataclass(frozen=True, slots=True)
class WorkerSecrets:
    """What workers may show. Raises ValueError for an empty one: there is no door without a secret."""

    current: str = field(repr=False)
    former: str | None = field(default=None, repr=False)
    former_until: float = 0.0  # unix seconds

    def __post_init__(self) -> None:
        if not self.current or self.former == "":
            raise ValueError("workers are not taken without a secret")

    def age_of(self, shown: bytes, now: float) -> SecretAge | None:
        """Which one it is; None for all else, and for the former one when its time is over."""
        if hmac.compare_digest(shown, self.current.encode()):
            return SecretAge.CURRENT
        if self.former is not None and hmac.compare_digest(shown, self.former.encode()) and now < self.former_until:
            return SecretAge.FORMER
        return None


class Doorway(Protocol):
    """Workers that came in by one way."""

    def shown(self) -> Iterable[tuple[str, bytes]]:
        """Peer and last shown secret of each."""
        ...

    def turn_out(self, shown: Collection[bytes]) -> None:
        """End the streams of those that showed one of these."""
        ...


class WorkerGate:
    """Judges secrets, at any time.

    While entered it also ends streams whose secret is not taken any more, and keeps the condition
    `WorkersOnCurrentSecret`, which tells when the former one can be left out of the spec.
    """

    def __init__(
        self, secrets: WorkerSecrets, *, clock: Clock, board: ConditionBoard | None = None, look_s: float = _LOOK_S
    ) -> None:
        self._secrets = secrets
        self._clock = clock
        self._board = board
        self._look_s = look_s
        self._doorways: list[Doorway] = []
        self._group = asyncio.TaskGroup()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._task = self._group.create_task(self._keep_looking(), name="worker-gate")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
        await self._group.__aexit__(None, None, None)
        if self._board is not None:
            self._board.withdraw(CONDITION)

    def watch(self, doorway: Doorway) -> None:
        """Its workers are looked after from now on."""
        self._doorways.append(doorway)

    def take(self, secrets: WorkerSecrets) -> None:
        """Go by these from now on."""
        if secrets != self._secrets:
            self._secrets = secrets
            log.info("worker_secret.taken", extra={"former_until": secrets.former_until if secrets.former else None})
            self.look()

    def age_of(self, shown: bytes) -> SecretAge | None:
        """Which of the secrets it is now; None: it opens nothing."""
        return self._secrets.age_of(shown, self._clock.now())

    def on_former(self) -> list[str]:
        """Peers of the joined workers that have not shown the current secret."""
        return [peer for peer, shown in self._all() if self.age_of(shown) is SecretAge.FORMER]

    def look(self) -> None:
        """End what may not go on, and tell how far the workers are."""
        wrong = {shown for _, shown in self._all() if self.age_of(shown) is None}
        if wrong:
            log.warning("worker_secret.streams_ended", extra={"reason": "their secret is not taken any more"})
            for doorway in self._doorways:
                doorway.turn_out(wrong)
        if self._board is None:
            return
        if self._secrets.former is None:
            self._board.withdraw(CONDITION)
        else:
            self._board.report(self._condition())

    def _condition(self) -> Condition:
        until = datetime.fromtimestamp(self._secrets.former_until, UTC).strftime("%Y-%m-%d %H:%M UTC")
        joined, waiting = len(self._all()), self.on_former()
        if self._clock.now() >= self._secrets.former_until:
            text = f"the former secret is not taken since {until}: leave `worker_secret_before` out of the fleet file"
            return _told(Status.TRUE, "WindowOver", text)
        if waiting:
            named = ", ".join(waiting[:_NAMED]) + (", ..." if waiting[_NAMED:] else "")
            text = f"{len(waiting)} of {joined} workers show the former secret, taken until {until}: {named}"
            return _told(Status.FALSE, "SomeOnFormer", text)
        if not joined:
            text = f"no worker is joined; those that come may show the former secret until {until}"
            return _told(Status.UNKNOWN, "NoWorkers", text)
        text = f"all {joined} workers show the current secret: `worker_secret_before` can be left out of the fleet file"
        return _told(Status.TRUE, "AllMoved", text)

    def _all(self) -> list[tuple[str, bytes]]:
        return [worker for doorway in self._doorways for worker in doorway.shown()]

    async def _keep_looking(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(self._look_s)


def _told(status: Status, reason: str, message: str) -> Condition:
    return Condition(CONDITION, status, reason, message, gates_ready=False)
