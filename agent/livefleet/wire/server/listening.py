"""Work that somebody waits for: it ends when they go away."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from livefleet.kernel import LivefleetError

__all__ = ["while_listening"]

T = TypeVar("T")


async def while_listening(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives; it is cancelled when the peer goes away. The request's body has been read.

    Raises ClientDisconnect then, and every LivefleetError of `work` as it is.
    """
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(_gone(receive))
        working = group.create_task(_outcome(work))
        await asyncio.wait((gone, working), return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        working.cancel()
    if working.cancelled():
        raise ClientDisconnect
    outcome = working.result()
    if isinstance(outcome, LivefleetError):
        raise outcome
    return outcome


async def _outcome(work: Coroutine[Any, Any, T]) -> T | LivefleetError:
    try:
        return await work
    except LivefleetError as error:
        return error


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
