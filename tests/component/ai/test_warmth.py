"""A real runner that falls silent, is put away and comes back: one model through all of it."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from livefleet.ai import AiPool, ModelSnapshot, NoCapacity
from livefleet.kernel import Status
from livefleet.spec import ModelOrder, ModelWish, Pipeline
from tests.builders.ai import MODEL_ID, PATIENT, a_job, a_placement, pngs

pytestmark = pytest.mark.component

RETRACTED_WITHIN_S = 2.0
LIMITS = replace(PATIENT, health_timeout_s=4, cancel_grace_s=4)


def an_order(wish: ModelWish, since: float) -> ModelOrder:
    return ModelOrder(pipeline=Pipeline.TEXT_TO_IMAGE, model_id=MODEL_ID, wish=wish, since=since, reason="new driver")


def check_gone(pid: int) -> None:
    assert not Path(f"/proc/{pid}").exists()


async def seconds_until(holds: Callable[[], object], within_s: float = 60) -> float:
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.005)
    return time.monotonic() - began


async def test_model__falls_silent_and_is_put_away__is_offered_only_while_it_works(
    a_pool: Callable[..., AiPool], board, tiny_model: Path, eventually
):
    placement = a_placement(source=str(tiny_model))
    async with a_pool(placement, request_timeout_s=60, limits=LIMITS, proof_every_s=1) as pool:

        def model() -> ModelSnapshot:
            return pool.snapshot().models[0]

        def pid() -> int:
            (found,) = pool.runner_pids()[MODEL_ID]
            return found

        await eventually(pool.advertised)
        assert model().loading is None

        # Idle and well, it shows that every second.
        await eventually(lambda: (model().proved_ago_s or 0) > 0.5)
        await eventually(lambda: (model().proved_ago_s or 9) < 0.5)
        assert model().failed_proofs == 0

        # Stopped, it is not offered; what it had begun goes on when it does, and the process stays.
        first = pid()
        picture = pngs(await pool.run(a_job(seed=7)))
        job = asyncio.ensure_future(pool.run(a_job(seed=7, num_inference_steps=100)))
        await asyncio.sleep(0.2)
        os.kill(first, signal.SIGSTOP)
        took_s = await seconds_until(lambda: not pool.advertised())
        assert took_s < RETRACTED_WITHIN_S
        assert (model().state, board.all()[0].status) == ("hung", Status.FALSE)
        with pytest.raises(NoCapacity):
            await pool.run(a_job())
        os.kill(first, signal.SIGCONT)
        back_s = await seconds_until(pool.advertised)
        print(f"retracted after {took_s:.2f} s, offered again {back_s:.2f} s after it went on")
        assert len(pngs(await job)) == 1
        assert (pid(), model().silences, model().failed_proofs) == (first, 1, 0)

        # Put away under a job: retracted at once, the job is done, then the process ends.
        job = asyncio.ensure_future(pool.run(a_job(seed=7, num_inference_steps=100)))
        await eventually(lambda: model().in_use)
        pool.follow([an_order(ModelWish.UNLOAD, 1)])
        assert (pool.advertised(), model().state) == ((), "unloaded")
        assert model().order is not None
        assert model().order.state == "pending"
        with pytest.raises(NoCapacity):
            await pool.run(a_job())
        assert len(pngs(await job)) == 1
        await eventually(lambda: model().pid is None)
        await eventually(lambda: model().order.state == "done")
        check_gone(first)
        assert "(new driver)" in board.all()[0].message
        assert board.is_ready()  # away on purpose
        pool.follow([an_order(ModelWish.UNLOAD, 1)])
        await asyncio.sleep(0.3)
        assert (model().pid, model().loads) == (None, 1)

        # Asked back, it is as before.
        pool.follow([an_order(ModelWish.LOAD, 2)])
        await eventually(lambda: model().loading is not None and model().loading.step == "pipeline")
        loading = model().loading
        assert loading is not None
        assert (loading.is_measured, loading.expected_s) == (True, model().load_s)
        await eventually(pool.advertised)
        assert (model().order.wish, model().order.state) == ("load", "done")
        assert pngs(await pool.run(a_job(seed=7))) == picture

        # One that stays silent is killed, and loaded again.
        second = pid()
        os.kill(second, signal.SIGSTOP)
        await eventually(lambda: model().state == "hung")
        hung_s = await seconds_until(lambda: model().state == "lost")
        assert hung_s > LIMITS.health_timeout_s
        assert board.all()[0].reason == "NotAnswering"
        await eventually(pool.advertised)
        assert pid() != second
        assert pngs(await pool.run(a_job(seed=7))) == picture
