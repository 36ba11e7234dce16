import asyncio
from dataclasses import dataclass

import pytest

from livefleet.kernel import Condition, ConditionBoard, Status, Terminal, Transient
from livefleet.reconcile import Action, Again, Plan, ReconcileLoop
from tests.builders.clock import HandClock

pytestmark = pytest.mark.unit


class Level:
    """Raises a number to the declared one, a step at a time."""

    name = "level"

    def __init__(self, declared, *, error=None):
        self.declared = declared
        self.actual = 0
        self.error = error
        self.looked = asyncio.Event()

    async def observe(self):
        self.looked.set()
        if self.error is not None:
            raise self.error
        return self.actual

    def plan(self, observed):
        short = self.declared - observed
        state = Status.TRUE if short <= 0 else Status.FALSE
        return Plan(
            [Step("raise", short)] if short > 0 else [], [Condition("Level", state, "Read", f"{observed}")], Again(60)
        )

    async def apply(self, action):
        self.actual += action.by


@dataclass(frozen=True, slots=True)
class Step(Action):
    by: int


def status_of(board, name):
    return next((c.status, c.reason) for c in board.all() if c.name == name)


async def test_once__drift__is_acted_on_and_next_look_is_clean():
    board, level = ConditionBoard(HandClock()), Level(3)
    loop = ReconcileLoop(level, board)
    assert await loop.once() == 60
    assert level.actual == 3
    await loop.once()
    assert status_of(board, "Level") == (Status.TRUE, "Read")
    assert status_of(board, "Reconciled") == (Status.TRUE, "InStep")


async def test_once__a_subject_is_gone__its_condition_is_withdrawn():
    class Devices(Level):
        names = ("a", "index 1")

        def plan(self, observed):
            return Plan((), [Condition("Present", Status.TRUE, "Read", "", subject=n) for n in self.names], Again(1))

    board, devices = ConditionBoard(HandClock()), Devices(0)
    board.report(Condition("Present", Status.TRUE, "Read", "somebody else's", subject="z"))
    loop = ReconcileLoop(devices, board)
    await loop.once()
    devices.names = ("a", "b")
    await loop.once()
    assert [c.subject for c in board.all() if c.name == "Present"] == ["a", "b", "z"]


async def test_run__nudge__looks_before_the_planned_time():
    level = Level(1)
    loop = ReconcileLoop(level, ConditionBoard(HandClock()))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(loop.run())
        await level.looked.wait()
        level.looked.clear()
        loop.nudge()
        async with asyncio.timeout(5):
            await level.looked.wait()
        running.cancel()


async def test_run__terminal__stops_that_resource_and_says_so():
    board = ConditionBoard(HandClock())
    await ReconcileLoop(Level(1, error=Terminal("the key is gone")), board).run()
    assert status_of(board, "Reconciled") == (Status.FALSE, "Stopped")


async def test_run__transient__backs_off_and_says_so():
    board, level = ConditionBoard(HandClock()), Level(1, error=Transient("not now", retry_after_s=0))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(ReconcileLoop(level, board).run())
        for _ in range(3):
            level.looked.clear()
            async with asyncio.timeout(5):
                await level.looked.wait()
        assert status_of(board, "Reconciled") == (Status.UNKNOWN, "Retrying")
        running.cancel()


async def test_run__cancelled__takes_back_all_that_it_said():
    board, level = ConditionBoard(HandClock()), Level(1)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(ReconcileLoop(level, board).run())
        async with asyncio.timeout(5):
            await level.looked.wait()
        await asyncio.sleep(0)
        assert {c.name for c in board.all()} == {"Level", "Reconciled"}
        running.cancel()
    assert board.all() == ()


async def test_run__terminal_later__what_it_said_before_does_not_stay():
    board, level = ConditionBoard(HandClock()), Level(0)
    loop = ReconcileLoop(level, board)
    await loop.once()
    level.error = Terminal("the key is gone")
    await loop.run()
    assert [(c.name, c.reason) for c in board.all()] == [("Reconciled", "Stopped")]
