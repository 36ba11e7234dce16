"""Real runners of all pipelines in one process, so that torch is imported once: `python -m tests.builders.ai_runners`.

stdin: a line with the folder that tiny models are made in; its end ends the process. stdout: a line of JSON, the
runners' URLs by pipeline, once each has done its proof.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from livefleet.ai import SERVED, kind_of
from livefleet.ai.runner_api import RunnerApi
from livefleet.ai.stop import Stop
from livefleet.ai.tiny import TINY_MODELS
from livefleet.hardware import read_snapshot
from livefleet.spec import Pipeline
from tests.builders.ai import runner_settings
from tests.builders.wire import free_port


@contextmanager
def all_runners(folder: Path, model_id: str) -> Iterator[dict[Pipeline, str]]:
    """URLs by pipeline while they run."""
    command = [sys.executable, "-m", "tests.builders.ai_runners"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as runners:
        assert runners.stdin is not None
        assert runners.stdout is not None
        runners.stdin.write(json.dumps([str(folder), model_id]) + "\n")
        runners.stdin.flush()
        line = runners.stdout.readline()
        assert line, f"the runners ended with {runners.wait()}"
        yield {Pipeline(pipeline): url for pipeline, url in json.loads(line).items()}
        runners.stdin.close()


async def _serve() -> None:
    folder, model_id = json.loads(sys.stdin.readline())
    words = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    urls, servers = {}, []
    for pipeline in SERVED:
        source = Path(folder) / pipeline
        TINY_MODELS[pipeline.value](source)
        settings = runner_settings(pipeline=pipeline, model_id=model_id, source=str(source), version="0.14.1")
        kind = kind_of(pipeline)
        model = kind.load(settings)
        fields, upload = kind.proof(settings)
        model.run(fields, upload, 0, Stop(float("inf")))
        api = RunnerApi(settings, kind, ThreadPoolExecutor(1), random.Random(1), lambda: read_snapshot(0.0))
        api.loaded(model)
        port = free_port()
        urls[pipeline.value] = f"http://127.0.0.1:{port}"
        servers.append(uvicorn.Server(uvicorn.Config(api.app(), host="127.0.0.1", port=port, log_config=None)))
    async with asyncio.TaskGroup() as group:
        for server in servers:
            group.create_task(server.serve())
        while not all(server.started for server in servers):
            await asyncio.sleep(0.02)
        words.write(json.dumps(urls) + "\n")
        words.flush()
        await asyncio.to_thread(sys.stdin.read)
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(_serve())
