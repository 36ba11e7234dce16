"""Real pictures computed together: each is its own seed's, but for the last bit."""

import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from livefleet.ai.batching import Jobs
from livefleet.ai.errors import Cancelled
from livefleet.ai.kinds import BatchedJob, BatchingModel
from livefleet.ai.pipelines import kind_of
from livefleet.ai.stop import Stop
from livefleet.spec import Pipeline
from tests.builders.ai import pngs, runner_settings, seeds

# diffusers warns of what it will drop some day.
pytestmark = [pytest.mark.component, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

KIND = kind_of(Pipeline.TEXT_TO_IMAGE)
SMALL = {"height": 64, "width": 64, "num_inference_steps": 2, "safety_check": False}


def a_job(prompt: str, seed: int, **fields: Any) -> BatchedJob[Any]:
    return BatchedJob(KIND.runner_fields(prompt=prompt, **SMALL | fields), None, seed, Stop(time.monotonic() + 60))


@pytest.fixture(scope="module")
def model(tiny_model: Path):
    return KIND.load(runner_settings(source=str(tiny_model), capacity=4, batch=4))


def furthest(one: bytes, other: bytes) -> int:
    import numpy as np
    from PIL import Image

    a, b = (np.asarray(Image.open(io.BytesIO(png))).astype(int) for png in (one, other))
    return int(abs(a - b).max())


@pytest.mark.parametrize("negative", ["", "a dog"])
def test_batch__of_prompts_and_seeds__are_the_pictures_that_each_gives_alone(model, negative: str):
    assert isinstance(model, BatchingModel)
    jobs = [a_job(f"picture {n}", 40 + n, negative_prompt=negative and f"{negative} {n}") for n in range(4)]
    together = model.run_batch(jobs)
    alone = [model.run(job.fields, None, job.seed, job.stop) for job in jobs]
    assert [seeds(result) for result in together] == [[40], [41], [42], [43]]
    assert all(furthest(*pngs(a), *pngs(b)) <= 1 for a, b in zip(together, alone, strict=True))
    # Others are far away, so the closeness is none by chance.
    assert furthest(*pngs(together[0]), *pngs(alone[1])) > 20


def test_batch__everybody_is_gone__stops_computing(model):
    jobs = [a_job("a", 1, num_inference_steps=100), a_job("b", 2, num_inference_steps=100)]
    for job in jobs:
        job.stop.cancel()
    with pytest.raises(Cancelled):
        model.run_batch(jobs)


async def test_jobs__not_declared_to_be_batched__give_the_same_bytes_whatever_runs_beside(model):
    import asyncio

    with ThreadPoolExecutor(4) as threads:
        jobs = Jobs(KIND, model, threads=threads, most=1)
        crowd = await asyncio.gather(*(jobs.run(a_job("a cat", n)) for n in range(4)))
        alone = [await jobs.run(a_job("a cat", n)) for n in range(4)]
    assert crowd == alone


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ({"prompt": "a", "seed": 1}, {"prompt": "b", "seed": 2}, True),
        ({"prompt": "a", "height": 64}, {"prompt": "a", "height": 128}, False),
        ({"prompt": "a", "negative_prompt": "x"}, {"prompt": "a"}, False),
        ({"prompt": "a", "negative_prompt": "x"}, {"prompt": "a", "negative_prompt": "y"}, True),
        ({"prompt": "a", "loras": '{"x": 1}'}, {"prompt": "a"}, False),
    ],
)
def test_batch_key__of_two_requests__is_one_where_only_texts_and_seeds_differ(one: dict, other: dict, alike: bool):
    keys = [KIND.batch_key(KIND.runner_fields(**fields), None) for fields in (one, other)]
    assert None not in keys
    assert (keys[0] == keys[1]) is alike


@pytest.mark.parametrize("fields", [{"num_images_per_prompt": 2}, {"prompt": "a|b"}, {"negative_prompt": "a|b"}])
def test_batch_key__several_images_or_texts__is_none(fields: dict):
    assert KIND.batch_key(KIND.runner_fields(**{"prompt": "a"} | fields), None) is None
