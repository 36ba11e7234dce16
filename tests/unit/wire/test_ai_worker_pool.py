"""Choosing AI workers and losing them; no sockets."""

import asyncio
import contextlib
import json
import re

import pytest

from livefleet.ai import AdvertisedModel, AiJob, NoCapacity
from livefleet.kernel import Refused, SystemClock
from livefleet.spec import Pipeline
from livefleet.wire import Capabilities, ModelConstraint
from livefleet.wire.ai_hardware import ModelHardware
from livefleet.wire.ai_messages import AiRegistration, AiTask
from livefleet.wire.server.ai_places import AiPlaces
from livefleet.wire.server.ai_worker_pool import AiWorkerPool, WorkersLost
from livefleet.wire.server.stream_store import StreamStore
from livefleet.wire.server.worker_gate import WorkerGate, WorkerSecrets
from tests.builders.ai import a_job, images
from tests.builders.ai_workers import Words
from tests.builders.wire import MODEL, OnePlace, a_chunk, a_rng

pytestmark = pytest.mark.unit

MADE = images(b"png", first_seed=1)
WORDS = AiJob(Pipeline.LLM, MODEL, {"model": MODEL, "stream": True}, units=9, streams=True)
PICTURE = AiJob(Pipeline.UPSCALE, MODEL, {"model_id": MODEL}, units=9, upload=b"a picture", media=1)


def a_store():
    return StreamStore("https://here:1", SystemClock())


def a_pool(store=None, **limits):
    gate = WorkerGate(WorkerSecrets("test-only"), clock=SystemClock())
    return AiWorkerPool(gate=gate, clock=SystemClock(), store=store or a_store(), rng=a_rng(), **limits)


def join(pool, capacity=1, *, model_id=MODEL, warm=True, version="", hardware=(), capability=27):
    models = {capability: {model_id: ModelConstraint(warm=warm, capacity=capacity, runner_version=version)}}
    return pool.join(AiRegistration("test-only", Capabilities.of((), models=models), hardware), "peer")


def ask(pool, group):
    async def do():
        with pool.reserve(Pipeline.TEXT_TO_IMAGE, MODEL) as place:
            return await place.run(a_job(model_id=MODEL))

    return group.create_task(do())


def listen(pool, group):
    """The chunks of an llm's answer, as they come."""
    heard = asyncio.Queue()

    async def do():
        with pool.reserve(Pipeline.LLM, MODEL) as place:
            async for chunk in place.stream(WORDS):
                heard.put_nowait(chunk)

    return group.create_task(do()), heard


async def task_of(worker) -> AiTask:
    async with asyncio.timeout(10):
        task = await worker.outbox.get()
    assert isinstance(task, AiTask)
    return task


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


async def given_up(pool, worker):
    """The id of a task whose gateway is gone."""
    async with asyncio.TaskGroup() as group:
        asked = ask(pool, group)
        task = await task_of(worker)
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked
    return task.task_id


async def test_given_up_by_the_gateway__the_worker_is_busy_until_it_answers():
    pool = a_pool()
    worker = join(pool)
    task_id = await given_up(pool, worker)
    assert pool.expects(task_id) is None
    with pytest.raises(NoCapacity), pool.reserve(Pipeline.TEXT_TO_IMAGE, MODEL):
        pass
    assert pool.advertised()[0].capacity_in_use == 1
    pool.heard_of(task_id)
    pool.heard_of(task_id)
    pool.fail(task_id, "late")
    assert worker.in_use.total() == 0


async def test_given_up_by_the_gateway__a_worker_that_never_answers__is_free_after_the_limit():
    pool = a_pool(longest_s=0.05)
    worker = join(pool)
    await given_up(pool, worker)
    assert worker.in_use.total() == 1
    async with asyncio.timeout(10):
        while worker.in_use.total():
            await asyncio.sleep(0.01)


async def test_given_up_by_the_gateway__worker_leaves__nothing_is_left_of_it():
    pool = a_pool()
    worker = join(pool)
    task_id = await given_up(pool, worker)
    pool.leave(worker)
    pool.heard_of(task_id)
    assert (pool.advertised(), pool._forsaken) == ((), {})


async def test_worker_says_that_it_is_full__whoever_has_room_gets_the_job():
    pool = a_pool(grace_s=0.01)
    first, second = join(pool), join(pool)
    async with asyncio.TaskGroup() as group:
        with pool.reserve(Pipeline.TEXT_TO_IMAGE, MODEL):
            asked = ask(pool, group)
            task = await task_of(second)
            first_busy = first.in_use.total()
        pool.fail(task.task_id, "no workers can process job requested")
        again = await task_of(first)
        pool.finish(again.task_id, MADE)
    assert (first_busy, asked.result(), pool.retries) == (1, MADE, 1)


async def test_upload_breaks_off__whoever_has_room_gets_the_job():
    pool = a_pool(grace_s=0.01)
    first, second = join(pool), join(pool)
    async with asyncio.TaskGroup() as group:
        asked = ask(pool, group)
        task = await task_of(first)
        with pool.reserve(Pipeline.TEXT_TO_IMAGE, MODEL):  # the second's place, so that the first gets it again
            pool.broke_off(task.task_id)
            again = await task_of(first)
        assert (first.in_use.total(), second.in_use.total()) == (1, 0)
        pool.finish(again.task_id, MADE)
    assert (asked.result(), pool.retries) == (MADE, 1)


async def test_upload_breaks_off__and_comes_again__counts_without_another_try():
    pool = a_pool()
    worker = join(pool)
    async with asyncio.TaskGroup() as group:
        asked = ask(pool, group)
        task = await task_of(worker)
        pool.broke_off(task.task_id)
        pool.broke_off(task.task_id)
        await asyncio.sleep(0)
        pool.finish(task.task_id, MADE)
    assert (asked.result(), pool.retries) == (MADE, 0)


async def test_file__lies_in_the_store_while_the_job_is_open():
    store = a_store()
    pool = a_pool(store)
    worker = join(pool, capability=30)
    async with asyncio.TaskGroup() as group:
        with pool.reserve(Pipeline.UPSCALE, MODEL) as place:
            asked = group.create_task(place.run(PICTURE))
            task = await task_of(worker)
            assert json.loads(task.request) == {"model_id": MODEL, "image": None}
            path = re.fullmatch(r"https://here:1/stream/([0-9a-f]{8}/[0-9a-f]{8}\.tempfile)", task.input_url)[1]
            assert store.get(path).data == b"a picture"
            pool.finish(task.task_id, MADE)
            await asked
    assert store.get(path) is None
    assert store.unread == 0


async def test_stream__chunks_arrive_one_by_one_and_the_end_is_the_end():
    pool = a_pool()
    worker = join(pool, capability=33)
    async with asyncio.TaskGroup() as group:
        asked, heard = listen(pool, group)
        task = await task_of(worker)
        feed = pool.begin_stream(task.task_id)
        for text in "ab":
            assert await feed.put(a_chunk(text))
            assert await heard.get() == a_chunk(text)
        assert pool.expects(task.task_id) is None
        assert not asked.done()
        feed.end()
    assert heard.empty()
    assert worker.in_use.total() == 0


async def test_stream__worker_lost_before_a_chunk__goes_to_the_next():
    pool = a_pool()
    first, second = join(pool, capability=33), join(pool, capability=33)
    async with asyncio.TaskGroup() as group:
        _, heard = listen(pool, group)
        lost = await task_of(first)
        pool.leave(first)
        feed = pool.begin_stream((await task_of(second)).task_id)
        assert pool.begin_stream(lost.task_id) is None
        await feed.put(a_chunk("all"))
        feed.end()
    assert (await heard.get(), pool.retries) == (a_chunk("all"), 1)


async def test_stream__fails_after_a_chunk__is_an_error_and_nobody_else_is_asked():
    pool = a_pool()
    first, second = join(pool, capability=33), join(pool, capability=33)

    async def do():
        with pool.reserve(Pipeline.LLM, MODEL) as place:
            return [chunk async for chunk in place.stream(WORDS)]

    asked = asyncio.ensure_future(do())
    feed = pool.begin_stream((await task_of(first)).task_id)
    await feed.put(a_chunk("half"))
    pool.leave(first)
    feed.end(Refused("the worker's stream broke off", status=500))
    feed.end()
    with pytest.raises(Refused, match="broke off"):
        await asked
    assert second.outbox.empty()
    assert first.in_use.total() == 0


async def test_stream__gateway_leaves__the_writer_hears_of_it():
    pool = a_pool()
    worker = join(pool, capability=33)
    async with asyncio.TaskGroup() as group:
        asked, heard = listen(pool, group)
        feed = pool.begin_stream((await task_of(worker)).task_id)
        await feed.put(a_chunk("a"))
        await heard.get()
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked
        assert not await feed.put(a_chunk("b"))
    assert worker.in_use.total() == 0


async def test_stream__slow_reader__holds_the_writer_up_until_it_leaves():
    pool = a_pool()
    worker = join(pool, capability=33)
    with pool.reserve(Pipeline.LLM, MODEL) as place:
        chunks = place.stream(WORDS)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(anext(chunks))
            feed = pool.begin_stream((await task_of(worker)).task_id)

            async def write():
                written = 0
                while written < 1000 and await feed.put(a_chunk(str(written))):
                    written += 1
                return written

            writing = group.create_task(write())
            assert await first == a_chunk("0")
            for _ in range(100):
                await asyncio.sleep(0)
            assert not writing.done()
            await chunks.aclose()
            assert await writing < 40


async def test_stream__given_up_as_it_begins__the_writer_hears_of_it():
    pool = a_pool()
    worker = join(pool, capability=33)
    async with asyncio.TaskGroup() as group:
        asked, _ = listen(pool, group)
        feed = pool.begin_stream((await task_of(worker)).task_id)
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked
    assert not await feed.put(a_chunk("a"))


async def test_places__stream__local_takes_over_only_before_the_first_chunk():
    pool, local = a_pool(grace_s=0.01), Words({("llm", MODEL): [a_chunk("here", finish="stop")]})
    local.steps.release()
    worker = join(pool, capability=33)
    places = AiPlaces(local=local, pool=pool)
    with contextlib.ExitStack() as held:
        busy = contextlib.ExitStack()
        busy.enter_context(local.reserve(Pipeline.LLM, MODEL))
        place = held.enter_context(places.reserve(Pipeline.LLM, MODEL))
        busy.close()
        pool.leave(worker)
        assert [chunk async for chunk in place.stream(WORDS)] == [a_chunk("here", finish="stop")]
    assert not local.in_use


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
