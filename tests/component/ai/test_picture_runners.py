"""Every pipeline of pictures through a real runner process each, and the film that is made of frames."""

import asyncio
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from livefleet.ai import AiJob, AiPool, RunnerRefused, kind_of, parse_job
from livefleet.spec import Pipeline
from livefleet.wire.ai_film import with_film
from tests.builders.ai import a_placement, pngs, seeds
from tests.builders.images import a_png

pytestmark = pytest.mark.component

PHOTO = a_png(64, 48)
I2I, UPSCALE, VIDEO = Pipeline.IMAGE_TO_IMAGE, Pipeline.UPSCALE, Pipeline.IMAGE_TO_VIDEO


def a_picture_job(pipeline: Pipeline, upload: bytes = PHOTO, **fields: Any) -> AiJob:
    small = {"prompt": "a cat", "model_id": f"tiny/{pipeline}", "num_inference_steps": 2, "seed": 5}
    if pipeline is VIDEO:
        small |= {"height": 64, "width": 96}
    return parse_job(kind_of(pipeline), small | fields, upload)


def size_of(png: bytes) -> tuple[int, int]:
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


async def test_runners__pipelines_of_pictures__answer_refuse_and_stop(a_pool, tiny_models: Path, eventually):
    placements = [
        a_placement(pipeline=pipeline, model_id=f"tiny/{pipeline}", source=str(tiny_models / pipeline))
        for pipeline in (I2I, UPSCALE, VIDEO)
    ]
    async with a_pool(*placements) as pool:
        await eventually(lambda: len(pool.advertised()) == 3)
        pids = pool.runner_pids()
        await check_image_to_image(pool)
        await check_upscale(pool)
        await check_image_to_video(pool)
        for pipeline in (I2I, UPSCALE, VIDEO):
            await check_broken_picture(pool, pipeline)
        await check_cancel_stops_computing(pool)
        assert pool.runner_pids() == pids


async def check_image_to_image(pool: AiPool) -> None:
    first = await pool.run(a_picture_job(I2I))
    pair = await pool.run(a_picture_job(I2I, num_images_per_prompt=2, seed=4))
    assert (seeds(first), seeds(pair)) == ([5], [4, 5])
    assert pngs(pair)[1] == pngs(first)[0]
    assert size_of(pngs(first)[0]) == (64, 48)
    with pytest.raises(RunnerRefused) as refused:
        await pool.run(a_picture_job(I2I, loras='{"a/b": 1}'))
    assert refused.value.text == "image-to-image container returned 400: LoRAs are not served by this runner."


async def check_upscale(pool: AiPool) -> None:
    result = await pool.run(a_picture_job(UPSCALE))
    assert result == await pool.run(a_picture_job(UPSCALE))
    assert (seeds(result), size_of(pngs(result)[0])) == ([5], (256, 192))
    # Seed 0 is drawn anew.
    assert seeds(await pool.run(a_picture_job(UPSCALE, seed=0))) != [0]


async def check_image_to_video(pool: AiPool) -> None:
    job = a_picture_job(VIDEO, fps=12)
    result = await pool.run(job)
    assert result == await pool.run(job)
    (frames,) = result.body["frames"]
    assert [(frame["seed"], frame["nsfw"]) for frame in frames] == [(5, False)] * 4
    film = await with_film(job, result)
    (entry,) = film.body["images"]
    assert (entry["seed"], entry["nsfw"], len(film.media)) == (5, False, job.media)
    mp4 = film.media[entry["url"]]
    assert mp4.content_type == "video/mp4"
    with av.open(io.BytesIO(mp4.data)) as container:
        assert (container.streams.video[0].average_rate, container.streams.video[0].name) == (12, "h264")
        assert [(frame.width, frame.height) for frame in container.decode(video=0)] == [(96, 64)] * 4


async def check_broken_picture(pool: AiPool, pipeline: Pipeline) -> None:
    job = replace(a_picture_job(pipeline), upload=PHOTO[:-30])
    with pytest.raises(RunnerRefused, match=f"^{pipeline} container returned 400: image: "):
        await pool.run(job)
    bomb = replace(job, upload=a_png(8, 8).replace((8).to_bytes(4) * 2, (60_000).to_bytes(4) * 2))
    with pytest.raises(RunnerRefused, match=f"^{pipeline} container returned 400: "):
        await pool.run(bomb)


async def check_cancel_stops_computing(pool: AiPool) -> None:
    long = a_picture_job(VIDEO, num_inference_steps=100, height=512, width=512)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await pool.run(long)
    # The only place is free long before the abandoned film could have been made.
    async with asyncio.timeout(60):
        await pool.run(a_picture_job(VIDEO))
