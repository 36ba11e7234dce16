import asyncio
import random
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from livefleet.ai import AiPool, Placement
from livefleet.kernel import ConditionBoard, SystemClock
from tests.builders.ai import PATIENT


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    subprocess.run([sys.executable, "-m", "livefleet.ai.tiny", str(folder)], check=True, timeout=240)
    return folder


@pytest.fixture
def board() -> ConditionBoard:
    return ConditionBoard(SystemClock())


@pytest.fixture
def a_pool(tmp_path: Path, board: ConditionBoard) -> Callable[..., AiPool]:
    def make(*placements: Placement, request_timeout_s: float = 120, limits=PATIENT) -> AiPool:
        return AiPool(
            placements,
            run_dir=tmp_path / "run",
            state_folder=tmp_path,
            board=board,
            rng=random.Random(1),
            request_timeout_s=request_timeout_s,
            limits=limits,
            cpu_threads=1,
        )

    return make


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    async def wait(holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(200):
            while not holds():
                await asyncio.sleep(0.05)

    return wait
