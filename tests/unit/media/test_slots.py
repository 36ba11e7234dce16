import asyncio

import pytest

from livefleet.media.slots import Slots

pytestmark = pytest.mark.unit


async def test_slots__alone__waits_for_all_and_holds_everybody_off():
    slots, seen = Slots(2), []
    both_in, let_go = asyncio.Event(), asyncio.Event()

    async def shared(name):
        async with slots.take():
            seen.append(name)
            if len(seen) == 2:
                both_in.set()
            await let_go.wait()

    async def alone(name):
        async with slots.take(alone=True):
            seen.append(f"+{name}")
            await asyncio.sleep(0)
            seen.append(f"-{name}")

    async with asyncio.TaskGroup() as group:
        group.create_task(shared("a"))
        group.create_task(shared("b"))
        await both_in.wait()
        for name in ("x", "y"):
            group.create_task(alone(name))
        await asyncio.sleep(0)
        assert seen == ["a", "b"]
        let_go.set()
    assert seen[2:] == ["+x", "-x", "+y", "-y"]


async def test_slots__waiter_cancelled__gives_back_what_it_gathered():
    slots = Slots(2)
    async with slots.take():
        waiting = asyncio.ensure_future(slots.take(alone=True).__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async with asyncio.timeout(1), slots.take():
            pass
