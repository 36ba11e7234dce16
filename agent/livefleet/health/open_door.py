"""Keeps a door open that may not be openable yet: an address that comes later, a certificate that is renewed."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from livefleet.kernel import Backoff, Condition, ConditionBoard, Status, run_duty

__all__ = ["Door", "keep_open"]

log = logging.getLogger(__name__)


class Door(Protocol):
    """What is open once it is entered."""

    @property
    def address(self) -> str:
        """`host:port`."""
        ...


async def keep_open(
    condition: str, board: ConditionBoard, door: Callable[[], AbstractAsyncContextManager[Door]], what: str
) -> None:
    """Until cancelled. While it cannot be opened the condition says why; it gates nothing: work goes on without."""

    def failed(error: BaseException) -> None:
        board.report(Condition(condition, Status.FALSE, "NotOpen", str(error), gates_ready=False))

    async def serve() -> None:
        async with door() as opened:
            text = f"{what} is open at {opened.address}"
            board.report(Condition(condition, Status.TRUE, "Open", text, gates_ready=False))
            log.info("monitoring.door_open", extra={"door": what, "address": opened.address})
            await asyncio.Event().wait()

    await run_duty(what, serve, on_failure=failed, backoff=Backoff(first_s=1.0, factor=2.0, cap_s=30.0))
