"""What an agent costs on top of a model: `python -m tests.benchmarks.ai_overhead`.

The same jobs in turn: called inside one process, and asked of a whole agent at its TLS door over a kept connection, as
a gateway does. A picture of about 100 ms, and the first piece of a chat. Then the agent's memory, idle, with and
without AI. Both models are tiny ones with random weights, on the CPU with one thread.

Where a process' memory comes to lie decides up to a tenth of such a job's time, for as long as the process lives. So
there are several pairs of processes, and what counts is the median over all.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from livefleet.ai import kind_of
from livefleet.ai.stop import Stop
from livefleet.spec import Pipeline
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import AiRequest, Payer
from livefleet.wire.gateway.ai import model_capabilities
from livefleet.wire.gateway.credentials import segment_header
from livefleet.wire.gateway.discovery import get_orchestrator
from tests.benchmarks.idle_agent import rss_mb
from tests.builders.agents import RunningAgent, an_agent
from tests.builders.ai import MODEL_ID, runner_settings

PICTURE = {"prompt": "a cat", "height": 256, "width": 256, "num_inference_steps": 4, "seed": 1, "safety_check": False}
CHAT = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 8, "temperature": 0.0, "stream": True}
JOB_TARGET_MS, JOB_TARGET_PERCENT, TOKEN_TARGET_MS = 5.0, 10.0, 20.0
MODEL_START_S = 180.0
JOBS = {Pipeline.TEXT_TO_IMAGE: PICTURE, Pipeline.LLM: CHAT}
Times = dict[Pipeline, tuple[list[float], list[float]]]
"""Milliseconds of each round: in one process, and asked of the agent."""


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=20, help="of each pair")
    options.add_argument("--pairs", type=int, default=5)
    options.add_argument("--inside", type=Path)
    given = options.parse_args()
    if given.inside:
        inside(given.inside)
        return 0
    times: Times = {pipeline: ([], []) for pipeline in JOBS}
    with tempfile.TemporaryDirectory(prefix="lf-", dir="/tmp") as scratch:
        folder = Path(scratch)
        for pair in range(given.pairs):
            models = folder / f"models{pair}"
            with in_one_process(models) as job, agent_with(folder / f"with{pair}", models) as agent:
                idle = rss_mb(agent.family()[0].pid)
                runners = [rss_mb(process.pid) for process in agent.family() if "ai.runner" in command_of(process.pid)]
                found = asyncio.run(compare(agent, job, given.rounds))
            for pipeline, (within, asked) in found.items():
                print(
                    f"pair {pair + 1}, {pipeline}: {added(within, asked):+.1f} ms on {statistics.median(within):.1f} ms"
                )
                times[pipeline][0].extend(within)
                times[pipeline][1].extend(asked)
        with an_agent(folder / "without", **node(transcoding={"encoder": "software"})) as agent:
            without = rss_mb(agent.family()[0].pid)
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(f"{given.pairs} pairs of {given.rounds} rounds, {cores} cores, load {load:.1f}")
    over = told("picture", *times[Pipeline.TEXT_TO_IMAGE])
    first = told("first token", *times[Pipeline.LLM])
    share = 100 * over / statistics.median(times[Pipeline.TEXT_TO_IMAGE][0])
    good = over < JOB_TARGET_MS and share < JOB_TARGET_PERCENT and first < TOKEN_TARGET_MS
    print(
        f"picture {over:+.1f} ms ({share:+.1f} %), target {JOB_TARGET_MS:g} ms and {JOB_TARGET_PERCENT:g} %; "
        f"first token {first:+.1f} ms, target {TOKEN_TARGET_MS:g} ms: {'met' if good else 'MISSED'}"
    )
    own = ", ".join(f"{memory:.0f}" for memory in runners)
    print(f"idle agent: {idle:.0f} MB with AI (its runners {own} MB), {without:.0f} MB without")
    return int(not good)


def told(what: str, within: list[float], asked: list[float]) -> float:
    """Print both, and give what the agent adds: the median of what it added in each round."""
    for name, times in (("in one process", within), ("asked of the agent", asked)):
        print(f"{what:<12}{name:<20} median {statistics.median(times):8.1f} ms, fastest {min(times):8.1f} ms")
    return added(within, asked)


def added(within: list[float], asked: list[float]) -> float:
    """The median of what the agent added in each round."""
    return statistics.median(b - a for a, b in zip(within, asked, strict=True))


async def compare(agent: RunningAgent, job: Callable[[Pipeline], float], rounds: int) -> Times:
    """Turn and turn about, so that a busy machine is as unkind to both."""
    times: Times = {pipeline: ([], []) for pipeline in JOBS}
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=False), timeout=aiohttp.ClientTimeout(total=60)
    ) as http:
        for pipeline, fields in JOBS.items():
            request = AiRequest(pipeline.value, MODEL_ID, {k: v for k, v in fields.items() if k != "seed"})
            headers = await headers_for(agent, request)
            named = fields | {"model" if pipeline is Pipeline.LLM else "model_id": MODEL_ID}
            for round_number in range(-3, rounds):
                within = await asyncio.to_thread(job, pipeline)
                began = time.perf_counter()
                async with http.post(f"{agent.service_uri}/{pipeline}", json=named, headers=headers) as reply:
                    assert reply.status == 200, f"{await reply.text()}\n{agent.log()[-2000:]}"
                    pieces = reply.content.iter_any()
                    assert await anext(pieces)
                    if pipeline is Pipeline.TEXT_TO_IMAGE:
                        assert not [piece async for piece in pieces][1:]
                    asked = (time.perf_counter() - began) * 1000
                    async for _ in pieces:
                        pass
                if round_number >= 0:
                    times[pipeline][0].append(within)
                    times[pipeline][1].append(asked)
    return times


async def headers_for(agent: RunningAgent, request: AiRequest) -> dict[str, str]:
    """What a gateway sends off-chain."""
    payer = Payer(None)
    info = await get_orchestrator(parse_endpoint(agent.service_uri), payer, model_capabilities(request))
    segment = segment_header(
        payer, manifest_id=request.manifest_id, sequence=0, data=b"", profiles=(), duration_ms=0,
        auth_token=info.auth_token, capabilities=model_capabilities(request),
    )  # fmt: skip
    return {"Livepeer-Payment": "", "Livepeer-Segment": segment, "Authorization": "Livepeer-AI-Worker-1.0"}


def node(**duties: Any) -> dict[str, Any]:
    return {"role": "orchestrator", "network": {"name": "offchain"}, "duties": duties, "gpus": "none"}


@contextmanager
def agent_with(root: Path, models: Path) -> Iterator[RunningAgent]:
    entries = [{"pipeline": p.value, "model_id": MODEL_ID, "source": str(models / p), "device": "cpu"} for p in JOBS]
    with an_agent(root, start=False, **node(ai=True), models=entries) as agent:
        agent.start(timeout_s=MODEL_START_S)
        yield agent


@contextmanager
def in_one_process(models: Path) -> Iterator[Callable[[Pipeline], float]]:
    """Runs a job there and tells its milliseconds; makes the models first."""
    command = [sys.executable, "-m", "tests.benchmarks.ai_overhead", "--inside", str(models)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout
        assert stdout.readline() == "loaded\n"

        def job(pipeline: Pipeline) -> float:
            stdin.write(f"{json.dumps(pipeline)}\n")
            stdin.flush()
            return float(stdout.readline())

        yield job
        stdin.close()


def inside(folder: Path) -> None:
    """The other side of it."""
    from livefleet.ai.tiny import TINY_MODELS

    models = {}
    for pipeline in JOBS:
        TINY_MODELS[pipeline.value](folder / pipeline)
        models[pipeline] = kind_of(pipeline).load(
            runner_settings(pipeline=pipeline, source=str(folder / pipeline), cpu_threads=1)
        )
    print("loaded", flush=True)
    for line in sys.stdin:
        pipeline = Pipeline(json.loads(line))
        fields = kind_of(pipeline).runner_fields(**JOBS[pipeline])
        stop = Stop(float("inf"))
        began = time.perf_counter()
        if pipeline is Pipeline.LLM:
            chunks = models[pipeline].stream(fields, stop)
            next(chunks)
        else:
            models[pipeline].run(fields, None, 1, stop)
        took = time.perf_counter() - began
        if pipeline is Pipeline.LLM:
            for _ in chunks:
                pass
        print(took * 1000, flush=True)


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


if __name__ == "__main__":
    sys.exit(main())
