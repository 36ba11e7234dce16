"""Runner processes by themselves: they end with their parent, and nobody else's."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.component

AGENT = textwrap.dedent("""
    import asyncio, random, sys
    from pathlib import Path
    from livefleet.ai import AiPool
    from livefleet.kernel import ConditionBoard, SystemClock
    from tests.builders.ai import PATIENT, a_placement

    async def main(folder):
        async with AiPool([a_placement(source="no-weights-needed/yet")], run_dir=folder, state_folder=folder,
                          board=ConditionBoard(SystemClock()), rng=random.Random(1), request_timeout_s=9,
                          limits=PATIENT) as pool:
            while not pool.runner_pids():
                await asyncio.sleep(0.05)
            print(*pool.runner_pids().values(), flush=True)
            await asyncio.sleep(600)

    asyncio.run(main(Path(sys.argv[1])))
""")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_runner__agent_dies__is_gone_too(tmp_path: Path, how: signal.Signals, eventually):
    agent = start("-c", AGENT, str(tmp_path))
    assert agent.stdout is not None
    assert agent.stdin is not None
    try:
        pid = int((await asyncio.to_thread(agent.stdout.readline)).strip().strip("(),"))
        assert is_running(pid)
        agent.send_signal(how)
        await asyncio.to_thread(agent.wait, 60)
        await eventually(lambda: not is_running(pid))
    finally:
        agent.kill()
        agent.wait(60)
        agent.stdout.close()
        agent.stdin.close()


async def test_runner__wrong_parent__ends_at_once(tmp_path: Path):
    settings = {
        "pipeline": "text-to-image", "model_id": "a/b", "source": "a/b", "dtype": "float32", "device": "cpu",
        "capacity": 1, "cpu_threads": 1, "request_timeout_s": 9, "socket": str(tmp_path / "ai.sock"), "parent": 1,
    }  # fmt: skip
    runner = start("-P", "-m", "livefleet.ai.runner")
    assert runner.stdin is not None
    assert runner.stdout is not None
    runner.stdin.write(json.dumps(settings) + "\n")
    runner.stdin.flush()
    assert os.getpid() != 1
    assert await asyncio.to_thread(runner.wait, 60) == 0
    runner.stdin.close()
    runner.stdout.close()
    assert not (tmp_path / "ai.sock").exists()


def test_import__of_the_room__brings_no_torch():
    """The agent's own process stays small, and no native code of a model can take it down."""
    heavy = "torch diffusers transformers numpy PIL"
    code = f"import sys, livefleet.ai; print([m for m in {heavy.split()!r} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert said.stdout.strip() == "[]"


def test_tiny__made_already__says_so_and_is_the_same_by_seed(tiny_model: Path, tmp_path: Path):
    tiny = [sys.executable, "-m", "livefleet.ai.tiny"]
    weights = tiny_model / "unet/diffusion_pytorch_model.safetensors"
    before = weights.stat().st_mtime_ns
    said = subprocess.run([*tiny, str(tiny_model)], check=True, capture_output=True, text=True, timeout=60)
    assert said.stdout == f"{tiny_model} is already there\n"
    assert weights.stat().st_mtime_ns == before

    subprocess.run([*tiny, str(tmp_path / "same")], check=True, capture_output=True, timeout=240)
    assert (tmp_path / "same/unet/diffusion_pytorch_model.safetensors").read_bytes() == weights.read_bytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ["same"]
    assert sum(file.stat().st_size for file in tiny_model.rglob("*")) < 5_000_000


def test_tiny__folder_holds_other_things__is_refused(tmp_path: Path):
    (tmp_path / "precious.txt").write_text("mine")
    tiny = [sys.executable, "-m", "livefleet.ai.tiny", str(tmp_path)]
    said = subprocess.run(tiny, check=False, capture_output=True, text=True, timeout=60)
    assert said.returncode == 2
    assert "is no pipeline" in said.stderr
    assert (tmp_path / "precious.txt").read_text() == "mine"
