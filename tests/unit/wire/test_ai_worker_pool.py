"""Choosing AI workers and losing them; no sockets."""

import asyncio
import contextlib

import pytest

from livefleet.ai import AdvertisedModel, NoCapacity
from livefleet.kernel import Refused, SystemClock
from livefleet.spec import Pipeline
from livefleet.wire import Capabilities, ModelConstraint
from livefleet.wire.ai_hardware import ModelHardware
from livefleet.wire.ai_messages import AiRegistration, AiTask
from livefleet.wire.server.ai_places import AiPlaces
from livefleet.wire.server.ai_worker_pool import AiWorkerPool, WorkersLost
from tests.builders.ai import a_job, images
from tests.builders.wire import MODEL, OnePlace

pytestmark = pytest.mark.unit

MADE = images(b"png", first_seed=1)


def a_pool(**limits):
    return AiWorkerPool(secret="test-only", clock=SystemClock(), **limits)


def join(pool, capacity=1, *, model_id=MODEL, warm=True, version="", hardware=()):
    models = {27: {model_id: ModelConstraint(warm=warm, capacity=capacity, runner_version=version)}}
    return pool.join(AiRegistration("test-only", Capabilities.of((), models=models), hardware), "peer")


def ask(pool, group):
    async def do():
        with pool.reserve(Pipeline.TEXT_TO_IMAGE, MODEL) as place:
            return await place.run(a_job(model_id=MODEL))

    return group.create_task(do())


async def task_of(worker) -> AiTask:
    async with asyncio.timeout(10):
        task = await worker.outbox.get()
    assert isinstance(task, AiTask)
    return task


def test_pool__without_a_secret__is_not_made():
    with pytest.raises(ValueError, match="secret"):
        AiWorkerPool(secret="", clock=SystemClock())


async def test_reserve__takes_the_first_that_joined_and_has_room():
    pool = a_pool()
    first, second = join(pool), join(pool, 2)
    with (
        pool.reserve(Pipeline.TEXT_TO_IMAGE, MODEL) as one,
        pool.reserve(Pipeline.TEXT_TO_IMAGE, MODEL) as two,
        pool.reserve(Pipeline.TEXT_TO_IMAGE, MODEL) as three,
    ):
        assert [place.worker for place in (one, two, three)] == [first, second, second]
        with pytest.raises(NoCapacity), pool.reserve(Pipeline.TEXT_TO_IMAGE, MODEL):
            pass
        (told,) = pool.advertised()
        assert (told.capacity, told.capacity_in_use) == (3, 3)
    assert pool.advertised()[0].capacity_in_use == 0


async def test_reserve__another_model_or_nobody__no_capacity():
    pool = a_pool()
    with pytest.raises(NoCapacity), pool.reserve(Pipeline.TEXT_TO_IMAGE, MODEL):
        pass
    join(pool, model_id="other/model")
    with pytest.raises(NoCapacity), pool.reserve(Pipeline.TEXT_TO_IMAGE, MODEL):
        pass


async def test_reserve__a_worker_that_left__is_not_asked():
    pool = a_pool()
    gone = join(pool)
    pool.leave(gone)
    pool.leave(gone)
    with pytest.raises(NoCapacity), pool.reserve(Pipeline.TEXT_TO_IMAGE, MODEL):
        pass
    assert await gone.outbox.get() is None


async def test_advertised__one_warm_worker_is_enough():
    pool = a_pool()
    join(pool, warm=False, version="0.14.1")
    join(pool, warm=True, version="0.9.0")
    assert pool.advertised() == (
        AdvertisedModel("text-to-image", MODEL, warm=True, capacity=2, capacity_in_use=0, runner_version="0.9.0"),
    )


async def test_lost_with_a_job__goes_to_the_next__whose_place_it_then_holds():
    pool = a_pool()
    first, second = join(pool), join(pool)
    async with asyncio.TaskGroup() as group:
        asked = ask(pool, group)
        await task_of(first)
        pool.leave(first)
        again = await task_of(second)
        assert second.in_use.total() == 1
        pool.finish(again.task_id, MADE)
    assert asked.result() == MADE
    assert (first.in_use.total(), second.in_use.total(), pool.retries) == (0, 0, 1)


async def test_lost_with_a_job__the_other_is_busy__waits_for_its_place():
    pool = a_pool()
    first, second = join(pool), join(pool)
    async with asyncio.TaskGroup() as group:
        lost = ask(pool, group)
        await task_of(first)
        other = ask(pool, group)
        running = await task_of(second)
        pool.leave(first)
        await asyncio.sleep(0)
        pool.finish(running.task_id, MADE)
        assert await other == MADE
        pool.finish((await task_of(second)).task_id, MADE)
    assert lost.result() == MADE


async def test_lost_one_uploads_after_all__whoever_is_first_counts():
    pool = a_pool()
    first, second = join(pool), join(pool)
    async with asyncio.TaskGroup() as group:
        asked = ask(pool, group)
        task = await task_of(first)
        pool.leave(first)
        again = await task_of(second)
        assert pool.expects(task.task_id) == a_job(model_id=MODEL)
        pool.finish(task.task_id, MADE)
        assert pool.expects(again.task_id) is None
        pool.finish(again.task_id, ())
        pool.fail(again.task_id, "too late")
    assert asked.result() == MADE
    assert pool.expects(task.task_id) is None


async def test_request_that_ends_every_worker__is_given_up_after_three():
    pool = a_pool(grace_s=0.01)
    crew = [join(pool) for _ in range(4)]

    async def do():
        with (
            pytest.raises(WorkersLost, match="no workers can process job requested"),
            pool.reserve(Pipeline.TEXT_TO_IMAGE, MODEL) as place,
        ):
            await place.run(a_job(model_id=MODEL))

    async with asyncio.TaskGroup() as group:
        group.create_task(do())
        for worker in crew[:3]:
            await task_of(worker)
            pool.leave(worker)
    assert crew[3].outbox.empty()


async def test_given_up_by_the_gateway__frees_the_place_and_late_errors_are_nobodys():
    pool = a_pool()
    worker = join(pool)
    async with asyncio.TaskGroup() as group:
        asked = ask(pool, group)
        task = await task_of(worker)
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked
    pool.fail(task.task_id, "late")
    assert worker.in_use.total() == 0
    assert pool.expects(task.task_id) is None


async def test_closed__streams_end_now_and_later():
    pool = a_pool()
    worker = join(pool)
    pool.close()
    assert await worker.outbox.get() is None
    assert await join(pool).outbox.get() is None


async def test_places__nothing_at_all__no_capacity():
    places = AiPlaces()
    assert (places.advertised(), places.hardware()) == ((), ())
    with pytest.raises(NoCapacity), places.reserve(Pipeline.TEXT_TO_IMAGE, MODEL):
        pass


async def test_places__hardware__local_wins():
    pool = a_pool()
    join(pool, hardware=(ModelHardware("text-to-image", "remote"),))
    local = (ModelHardware("text-to-image", "local"),)
    assert AiPlaces(pool=pool).hardware()[0].model_id == "remote"
    assert AiPlaces(local=OnePlace(), local_hardware=lambda: local, pool=pool).hardware() == local


async def test_places__local_only__is_busy_when_it_is_busy():
    local = OnePlace()
    places = AiPlaces(local=local)
    with (
        places.reserve(Pipeline.TEXT_TO_IMAGE, MODEL) as place,
        pytest.raises(NoCapacity),
        places.reserve(Pipeline.TEXT_TO_IMAGE, MODEL),
    ):
        pass
    assert place is local
    assert local.in_use == 0


async def test_places__same_model_here_and_there__is_told_once():
    pool = a_pool()
    join(pool, 2, warm=False, version="0.9.0")
    (told,) = AiPlaces(local=OnePlace(), pool=pool).advertised()
    assert told == AdvertisedModel(
        "text-to-image", MODEL, warm=True, capacity=3, capacity_in_use=0, runner_version="0.9.0"
    )


async def test_places__worker_lost_and_local_busy__tells_of_the_loss():
    pool, local = a_pool(grace_s=0.01), OnePlace()
    worker = join(pool)
    places = AiPlaces(local=local, pool=pool)
    with local.reserve(Pipeline.TEXT_TO_IMAGE, MODEL), places.reserve(Pipeline.TEXT_TO_IMAGE, MODEL) as place:
        pool.leave(worker)
        with pytest.raises(Refused, match="no workers available"):
            await place.run(a_job(model_id=MODEL))
