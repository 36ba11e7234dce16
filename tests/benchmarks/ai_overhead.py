"""What it costs to have a model in a process of its own: `python -m tests.benchmarks.ai_overhead`.

Prints load time and the time of one request of about 100 ms, asked through the pool and called inside one process.
"""

import asyncio
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from livefleet.ai import AiPool, WatchLimits, kind_of
from livefleet.ai.stop import Stop
from livefleet.kernel import ConditionBoard, SystemClock
from livefleet.spec import Pipeline
from tests.builders.ai import a_job, a_placement, runner_settings

JOB = {"height": 256, "width": 256, "num_inference_steps": 4, "seed": 1}
ROUNDS = 30


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        subprocess.run([sys.executable, "-m", "livefleet.ai.tiny", str(folder / "tiny")], check=True)
        asyncio.run(compare(folder))


async def compare(folder: Path) -> None:
    """Turn and turn about, so that a busy machine is as unkind to both."""
    inside = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.ai_overhead", "--inside", str(folder / "tiny"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert inside.stdin is not None
    assert inside.stdout is not None
    pool = AiPool(
        [a_placement(source="tiny")], run_dir=folder / "run", state_folder=folder, board=ConditionBoard(SystemClock()),
        rng=random.Random(1), request_timeout_s=60, limits=WatchLimits(loading_every_s=0.1), cpu_threads=1,
    )  # fmt: skip
    await inside.stdout.readline()  # loaded; from here on it only waits
    started = time.perf_counter()
    async with pool:
        while not pool.advertised():
            await asyncio.sleep(0.05)
        load_s = time.perf_counter() - started
        pool_ms, inside_ms = [], []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            await pool.run(a_job(**JOB))
            pool_ms.append((time.perf_counter() - began) * 1000)
            inside.stdin.write(b"again\n")
            inside_ms.append(float(await inside.stdout.readline()))
    inside.stdin.close()
    await inside.wait()
    print(f"load to warm          {load_s:8.2f} s")
    for name, pick in (("median", statistics.median), ("fastest", min)):
        a, b = pick(inside_ms), pick(pool_ms)
        print(f"{name} of {ROUNDS}: in one process {a:.1f} ms, by the pool {b:.1f} ms, {100 * (b / a - 1):+.1f} %")


def inside_one_process(folder: str) -> None:
    kind = kind_of(Pipeline.TEXT_TO_IMAGE)
    model = kind.load(runner_settings(source=folder))
    fields = kind.runner_fields(prompt="a cat", **JOB)
    print("loaded", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        model.run(fields, None, 1, Stop(float("inf")))
        print((time.perf_counter() - began) * 1000, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside_one_process(sys.argv[2])
    else:
        main()
