"""A real runner process with a real, tiny pipeline."""

import asyncio
import os
import signal
import struct
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from livefleet.ai import NoCapacity, RunnerHung, RunnerRefused
from livefleet.kernel import Status
from livefleet.spec import Pipeline
from tests.builders.ai import MODEL_ID, PATIENT, a_job, a_placement, an_advert, pngs, seeds

pytestmark = pytest.mark.component


def size_of(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


async def test_pool__warm_model__answers_refuses_beyond_capacity_and_survives_kill_9(
    a_pool, board, tiny_model: Path, eventually, tmp_path: Path
):
    async with a_pool(a_placement(source=str(tiny_model))) as pool:
        # Nothing is promised before it answers.
        assert pool.advertised() == ()
        assert not board.is_ready(["ModelWarm"])
        with pytest.raises(NoCapacity) as refusal:
            await pool.run(a_job())
        assert (refusal.value.text, refusal.value.status) == ("insufficient capacity", 503)

        await eventually(pool.advertised)
        assert pool.advertised() == (an_advert(),)
        assert board.is_ready(["ModelWarm"])

        # The same seed gives the same bytes; image n has seed + n.
        first = await pool.run(a_job(seed=7))
        again = await pool.run(a_job(seed=7))
        pair = await pool.run(a_job(seed=6, num_images_per_prompt=2, width=128))
        assert first == again
        assert seeds(pair) == [6, 7]
        assert size_of(pngs(first)[0]) == (64, 64)
        assert size_of(pngs(pair)[0]) == (128, 64)
        assert pngs(await pool.run(a_job(seed=8)))[0] != pngs(first)[0]

        # Without a seed every request has its own.
        drawn = [seeds(await pool.run(a_job()))[0] for _ in range(2)]
        assert drawn[0] != drawn[1]
        assert all(0 <= seed < 2**32 for seed in drawn)

        # A held place is counted, and nobody else gets it.
        with pool.reserve(Pipeline.TEXT_TO_IMAGE, MODEL_ID) as place:
            assert pool.advertised()[0].capacity_in_use == 1
            with pytest.raises(NoCapacity):
                await pool.run(a_job())
            assert await place.run(a_job(seed=7)) == first
        assert pool.advertised()[0].capacity_in_use == 0
        with pytest.raises(NoCapacity):
            await pool.run(a_job(model_id="nobody/nothing"))

        # The runner's own errors come in the words that gateways know.
        odd = replace(a_job(), fields=dict(a_job().fields) | {"height": 100})
        with pytest.raises(RunnerRefused, match="text-to-image container returned 400: `height` and `width` have to"):
            await pool.run(odd)

        await check_http_api(tmp_path / "run/ai-0.sock")

        # Killed under a request: that request fails, the model leaves the advertisement, comes back and serves.
        (pid,) = pool.runner_pids()[MODEL_ID]
        request = asyncio.ensure_future(pool.run(a_job(num_inference_steps=100, height=1024, width=1024)))
        await asyncio.sleep(0.5)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(RunnerRefused, match="text-to-image container went away during the request"):
            await request
        await eventually(lambda: not pool.advertised())
        await eventually(lambda: board.blocking() != () and board.blocking()[0].status is Status.FALSE)
        assert "SIGKILL" in board.blocking()[0].message
        await eventually(pool.advertised)
        assert await pool.run(a_job(seed=7)) == first
        assert board.is_ready()
        (pid,) = pool.runner_pids()[MODEL_ID]

    check_nothing_is_left(pid, tmp_path / "run")


def check_nothing_is_left(pid: int, run_dir: Path) -> None:
    assert not Path(f"/proc/{pid}").exists()
    assert list(run_dir.iterdir()) == []


def check_only_we_may_connect(socket: Path) -> None:
    assert socket.stat().st_mode & 0o077 == 0


async def check_http_api(socket: Path) -> None:
    check_only_we_may_connect(socket)
    async with httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=str(socket)), base_url="http://runner", timeout=60
    ) as http:
        names = {"pipeline": "text-to-image", "model_id": MODEL_ID}
        for slash in ("", "/"):
            assert (await http.get(f"/health{slash}")).json() == {"status": "OK"}
            assert (await http.get(f"/version{slash}")).json() == names | {"version": "0.14.1"}
            assert (await http.get(f"/hardware/info{slash}")).json() == names | {"gpu_info": {}}
            body = {"prompt": "a cat", "height": 64, "width": 64, "num_inference_steps": 1, "seed": 3}
            reply = await http.post(f"/text-to-image{slash}", json=body)
            assert reply.status_code == 200
            (image,) = reply.json()["images"]
            assert (image["seed"], image["nsfw"]) == (3, False)
            assert image["url"].startswith("data:image/png;base64,iVBOR")


async def test_pool__request_hangs__is_given_up_and_runner_replaced(a_pool, board, tiny_model: Path, eventually):
    # Checks stay far away: only the request's own limit can notice.
    limits = replace(PATIENT, health_timeout_s=1000, health_every_s=0.2, silence_s=1000, cancel_grace_s=2)
    async with a_pool(a_placement(source=str(tiny_model)), request_timeout_s=2, limits=limits) as pool:
        await eventually(pool.advertised)
        (pid,) = pool.runner_pids()[MODEL_ID]
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(RunnerHung, match="did not answer within 4 s"):
            await pool.run(a_job())
        await eventually(lambda: not board.is_ready())
        assert board.all()[0].reason == "RequestHung"
        await eventually(pool.advertised)
        assert pool.runner_pids()[MODEL_ID] != (pid,)


async def test_pool__client_gives_up__computing_stops(a_pool, tiny_model: Path, eventually):
    async with a_pool(a_placement(source=str(tiny_model))) as pool:
        await eventually(pool.advertised)
        long = a_job(num_inference_steps=100, height=2048, width=2048, num_images_per_prompt=8)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await pool.run(long)
        assert pool.advertised()[0].capacity_in_use == 0
        # The one place of the runner is free again long before the abandoned job could have ended.
        async with asyncio.timeout(60):
            await pool.run(a_job())


async def test_pool__request_takes_too_long__is_refused_and_runner_stays(a_pool, tiny_model: Path, eventually):
    async with a_pool(a_placement(source=str(tiny_model)), request_timeout_s=1) as pool:
        await eventually(pool.advertised)
        before = pool.runner_pids()
        with pytest.raises(RunnerRefused) as refused:
            await pool.run(a_job(num_inference_steps=100, height=1024, width=1024))
        assert refused.value.text == "text-to-image container returned 500: Request took too long."
        assert pool.runner_pids() == before
        assert pool.advertised()[0].warm


async def test_pool__folder_is_no_pipeline__condition_says_so(a_pool, board, tmp_path: Path, eventually):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    async with a_pool(a_placement(source="broken")) as pool:
        await eventually(lambda: board.all()[0].status is Status.FALSE)
        condition = board.all()[0]
        assert (condition.name, condition.subject, condition.reason) == ("ModelWarm", MODEL_ID, "LoadFailed")
        assert "cannot load" in condition.message
        assert pool.advertised() == ()


async def test_pool__cold_model_of_two_places__loads_at_first_request(a_pool, board, tiny_model: Path):
    async with a_pool(a_placement(source=str(tiny_model), warm=False, capacity=2)) as pool:
        assert [(model.warm, model.capacity) for model in pool.advertised()] == [(False, 2)]
        assert board.is_ready()
        await asyncio.sleep(0)
        assert pool.runner_pids() == {}
        ask = a_job(seed=7, num_inference_steps=20)
        first, second = await asyncio.gather(pool.run(ask), pool.run(ask))
        assert pool.advertised()[0].warm
        # Two at once over the same weights do not disturb each other.
        assert first == second == await pool.run(ask)
        assert size_of(pngs(first)[0]) == (64, 64)
