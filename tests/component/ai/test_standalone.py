"""Runners that stand alone at a TCP address, with real models: as a go-livepeer worker finds an external runner."""

import asyncio
import json
import random
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from livefleet.ai.external_model import ExternalModel
from livefleet.ai.watch import RunnerState
from livefleet.spec import Pipeline
from tests.builders.ai import MODEL_ID, PATIENT, a_job, a_placement, seeds
from tests.builders.wire import free_port

pytestmark = pytest.mark.component

TOKEN = "open sesame"
BEARER = {"authorization": f"Bearer {TOKEN}"}
PICTURE = {"prompt": "a cat", "height": 64, "width": 64, "num_inference_steps": 1, "seed": 3}


@contextmanager
def standing_alone(source: Path, port: int, **model: object) -> Iterator[subprocess.Popen[bytes]]:
    entry = {"pipeline": "text-to-image", "model_id": MODEL_ID, "source": str(source), "device": "cpu"} | model
    told = {"model": entry, "listen": f"127.0.0.1:{port}", "auth_token": TOKEN, "cpu_threads": 1}
    command = [sys.executable, "-P", "-m", "livefleet.ai.standalone"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(told).encode())
        process.stdin.close()
        process.stdin = None
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=60)


def seen_by_others(pid: int) -> bytes:
    return b"".join(Path(f"/proc/{pid}/{file}").read_bytes() for file in ("cmdline", "environ"))


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def listening(process: subprocess.Popen[bytes], port: int) -> None:
    async with asyncio.timeout(120):
        while not accepts(port):
            assert process.poll() is None, process.stderr.read()
            await asyncio.sleep(0.05)


async def endless(start: bytes) -> AsyncIterator[bytes]:
    yield start
    while True:
        yield b"x" * 65_536


async def test_standalone__real_model_by_tcp__is_an_ai_runner(tiny_model: Path, eventually):
    port = free_port()
    with standing_alone(tiny_model, port, capacity=2, optimization={"BATCH": "2"}) as process:
        await listening(process, port)
        # Nothing of it is to be read in its arguments or environment.
        assert TOKEN.encode() not in seen_by_others(process.pid)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            # It answers only once it is ready, because a Go worker takes any status but ERROR for that.
            names = {"pipeline": "text-to-image", "model_id": MODEL_ID}
            for slash in ("", "/"):
                assert (await http.get(f"/health{slash}")).json() == {"status": "OK"}
                assert (await http.get(f"/version{slash}")).json() == names | {"version": "0.14.1"}
                assert (await http.get(f"/hardware/info{slash}")).json() == names | {"gpu_info": {}}
                assert (await http.get(f"/hardware/stats{slash}")).json() == names | {"gpu_stats": {}}
            assert 'version{app="ai-runner",version="0.14.1"} 1.0' in (await http.get("/metrics")).text

            refused = await http.post("/text-to-image", json=PICTURE)
            assert (refused.status_code, refused.json()) == (401, {"detail": {"msg": "Invalid bearer token."}})

            # Memory grows by a larger picture, and the smaller one after it does not show that any more.
            async def peak(**size: int) -> int:
                await http.post("/text-to-image", json=PICTURE | size, headers=BEARER)
                return (await http.get("/livefleet/memory")).json()["peak"]

            small, large, again = await peak(), await peak(height=1024, width=1024), await peak()
            assert large > small + 20_000_000
            assert again < large
            loaded = (await http.get("/livefleet/memory")).json()["loaded"]
            assert 100_000_000 < loaded <= large

            # Poison hurts its own job: neither bytes that are nothing nor a body without end keep the next one waiting.
            for body in (b"\xff", b"{" * 100_000, b"[" * 900_000):
                assert (await http.post("/text-to-image", content=body, headers=BEARER)).status_code == 422
            # The connection goes, and with it the answer, when more comes after the refusal than anybody would send.
            with pytest.raises(httpx.TransportError):
                await http.post("/text-to-image", content=endless(b"{"), headers=BEARER)
            somewhat = await http.post("/text-to-image", content=b"{" * 20_000_000, headers=BEARER)
            assert (somewhat.status_code, somewhat.json()) == (
                413,
                {"detail": {"msg": "body of more than 1000000 bytes"}},
            )
            assert (await http.post("/text-to-image", json=PICTURE, headers=BEARER)).status_code == 200

        # As an external runner of an agent of ours, two at once.
        external = ExternalModel(
            a_placement(url=f"http://127.0.0.1:{port}", capacity=2, device="auto"),
            token=TOKEN,
            request_timeout_s=60,
            rng=random.Random(1),
            on_change=lambda: None,
            limits=PATIENT,
        )
        async with asyncio.TaskGroup() as group:
            duty = group.create_task(external.run())
            await eventually(lambda: external.state is RunnerState.READY)
            assert external.view().runner_version == "0.14.1"
            results = await asyncio.gather(*(external.run_job(a_job(seed=n)) for n in (7, 8)))
            assert [seeds(result) for result in results] == [[7], [8]]
            duty.cancel()


async def test_standalone__address_is_taken_or_folder_is_empty__says_so(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken, standing_alone(tmp_path, taken.getsockname()[1]) as process:
        assert await asyncio.to_thread(process.wait, 60) == 2
        assert b"model_index.json" in process.stderr.read()
    (tmp_path / "model_index.json").write_text("{}")
    with socket.create_server(("127.0.0.1", 0)) as taken, standing_alone(tmp_path, taken.getsockname()[1]) as process:
        assert await asyncio.to_thread(process.wait, 60) == 2
        assert b"listen: cannot listen at '127.0.0.1:" in process.stderr.read()


async def test_standalone__llm__streams_to_the_end_and_stops_when_left(tiny_models: Path):
    port = free_port()
    with standing_alone(tiny_models / "llm", port, pipeline=Pipeline.LLM) as process:
        await listening(process, port)
        ask = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 40, "stream": True, "temperature": 0}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, headers=BEARER) as http:
            whole = await http.post("/llm", json=ask)
            assert whole.headers["content-type"].startswith("text/event-stream")
            *events, done, end = whole.text.split("\n\n")
            assert (done, end) == ("data: [DONE]", "")
            chunks = [json.loads(event.removeprefix("data: ")) for event in events]
            assert chunks[-1]["choices"][0]["finish_reason"]
            assert all(not chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1])

            # Left after its first chunk, and the only place is free for the next one.
            async with http.stream("POST", "/llm", json=ask | {"max_tokens": 400}) as reply:
                await anext(reply.aiter_lines())
            assert (await http.post("/llm", json=ask)).text.split("\n\n")[:-3] != []
            wrong = await http.post("/llm", json=ask, headers={"authorization": "Bearer x"})
            assert (wrong.status_code, wrong.json()) == (401, {"detail": {"msg": "Invalid bearer token"}})
