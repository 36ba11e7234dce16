"""Named, bounded thread pools for blocking work: one a device where order matters."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

__all__ = ["Blocking"]

P = ParamSpec("P")
T = TypeVar("T")


class Blocking:
    """A thread pool owned by whoever entered it; leaving waits for the work under way."""

    def __init__(self, name: str, *, workers: int = 1) -> None:
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix=name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def close(self) -> None:
        """Wait for running work, drop queued work."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` on this pool and wait for it without blocking the loop."""
        return await asyncio.wrap_future(self._pool.submit(function, *args, **kwargs))
