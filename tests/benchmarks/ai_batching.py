"""What computing pictures together gains, and what it costs: `python -m tests.benchmarks.ai_batching`.

The tiny pipeline on the CPU with one thread; as many requests at once as a batch holds.
"""

import asyncio
import io
import itertools
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from livefleet.ai import AiResult, kind_of
from livefleet.ai.batching import Jobs
from livefleet.ai.kinds import BatchedJob
from livefleet.ai.stop import Stop
from livefleet.ai.tiny import TINY_MODELS
from livefleet.spec import Pipeline
from tests.builders.ai import pngs, runner_settings

BATCH, ROUNDS = 4, 8
SHAPES = ((64, 4), (128, 4), (256, 4))  # side, steps
KIND = kind_of(Pipeline.TEXT_TO_IMAGE)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        TINY_MODELS["text-to-image"](folder)
        model = KIND.load(runner_settings(source=str(folder), capacity=BATCH, batch=BATCH))
        print(f"{BATCH} requests at once      alone   together    gain   values that differ (by at most)")
        for side, steps in SHAPES:
            asyncio.run(compare(model, side, steps))


async def compare(model: Any, side: int, steps: int) -> None:
    """Turn and turn about, so that a busy machine is as unkind to both."""
    with ThreadPoolExecutor(1) as threads:
        ways = [Jobs(KIND, model, threads=threads, most=most) for most in (1, BATCH)]
        times: list[list[float]] = [[], []]
        for number in range(ROUNDS):
            answers = []
            for way, taken in zip(ways, times, strict=True):
                began = time.perf_counter()
                with way.coming():
                    asked = [asyncio.ensure_future(way.run(a_job(side, steps, number + n))) for n in range(BATCH)]
                    await asyncio.sleep(0)
                answers.append(await asyncio.gather(*asked))
                taken.append((time.perf_counter() - began) * 1000)
    alone, together = map(statistics.median, times)
    share, most = difference(*answers)
    gain = f"{alone:9.0f} ms {together:7.0f} ms {alone / together:6.2f}x"
    print(f"{side:>4}x{side}, {steps} steps {gain}  {share:.3%} ({most})")


def a_job(side: int, steps: int, seed: int) -> BatchedJob[Any]:
    fields = KIND.runner_fields(
        prompt=f"picture {seed}", height=side, width=side, num_inference_steps=steps, safety_check=False
    )
    return BatchedJob(fields, None, seed, Stop(float("inf")))


def difference(alone: list[AiResult], together: list[AiResult]) -> tuple[float, int]:
    """The share of values that differ, and by how much at most."""
    import numpy as np
    from PIL import Image

    pairs = itertools.chain.from_iterable(
        zip(pngs(a), pngs(b), strict=True) for a, b in zip(alone, together, strict=True)
    )
    gaps = [
        abs(np.asarray(Image.open(io.BytesIO(a))).astype(int) - np.asarray(Image.open(io.BytesIO(b)))) for a, b in pairs
    ]
    return float(np.mean([gap > 0 for gap in gaps])), int(max(gap.max() for gap in gaps))


if __name__ == "__main__":
    main()
