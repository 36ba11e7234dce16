"""Answers in chunks: the words of the wire, who waits for whom, and how they end."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any

import pytest

from livefleet.ai.errors import Cancelled
from livefleet.ai.runner_stream import as_events
from livefleet.ai.stop import Stop

pytestmark = pytest.mark.unit


def a_stop() -> Stop:
    return Stop(time.monotonic() + 60)


async def taken(chunks: Callable[[], Iterator[Mapping[str, Any]]], stop: Stop | None = None) -> list[str]:
    with ThreadPoolExecutor(1) as threads:
        return [event async for event in as_events(chunks, stop or a_stop(), threads)]


def counting(most: int, stop: Stop | None = None, seen: list[int] | None = None) -> Iterator[Mapping[str, Any]]:
    for number in range(most):
        if stop:
            stop.check()
        if seen is not None:
            seen.append(number)
        yield {"n": number}


async def test_events__to_the_end__are_in_order_and_say_done():
    events = await taken(lambda: counting(200))
    assert [json.loads(event.removeprefix("data: ")) for event in events[:-1]] == [{"n": n} for n in range(200)]
    assert events[0] == 'data: {"n":0}\n\n'
    assert events[-1] == "data: [DONE]\n\n"


@pytest.mark.parametrize("error", [ValueError("bad luck"), SystemExit("bad luck")])
async def test_events__model_fails__end_with_the_error_and_nothing_after(error: BaseException):
    def failing() -> Iterator[Mapping[str, Any]]:
        yield {"n": 0}
        raise error

    *first, last = await taken(failing)
    assert first == ['data: {"n":0}\n\n']
    assert "bad luck" in json.loads(last.removeprefix("data: "))["error"]


async def test_events__model_fails_at_once__raise_it_for_a_proper_answer():
    with pytest.raises(ValueError, match="bad luck"):
        await taken(lambda: (_ for _ in ()).throw(ValueError("bad luck")))


async def test_events__reader_leaves__model_stops_at_its_next_step_and_its_thread_is_free():
    stop, seen = a_stop(), []
    with ThreadPoolExecutor(1) as threads:
        async with aclosing(as_events(lambda: counting(10**9, stop, seen), stop, threads)) as events:
            await anext(events)
        # Closed means stopped: nothing is left that could go on.
        assert await asyncio.get_running_loop().run_in_executor(threads, len, seen) < 1000
    with pytest.raises(Cancelled):
        stop.check()


async def test_events__reader_is_slow__model_waits_for_it():
    seen: list[int] = []
    at_limit = threading.Event()

    def watched() -> Iterator[Mapping[str, Any]]:
        for chunk in counting(10_000, None, seen):
            if len(seen) == 65:
                at_limit.set()
            yield chunk

    stop = a_stop()

    def stopping() -> Iterator[Mapping[str, Any]]:
        for chunk in watched():
            stop.check()
            yield chunk

    with ThreadPoolExecutor(1) as threads:
        async with aclosing(as_events(stopping, stop, threads)) as events:
            await anext(events)
            await asyncio.to_thread(at_limit.wait, 30)
            assert len(seen) <= 66
