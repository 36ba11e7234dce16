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

_WRITE_ALL = """
import sys
from pathlib import Path
from livefleet.ai.tiny import TINY_MODELS
for kind, write in TINY_MODELS.items():
    write(Path(sys.argv[1]) / kind)
"""


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of each kind of `TINY_MODELS`; most of the time it takes is one import of torch."""
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, "-c", _WRITE_ALL, str(folder)], check=True, timeout=240)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tiny_models: Path) -> Path:
    return tiny_models / "text-to-image"


@pytest.fixture
def board() -> ConditionBoard:
    return ConditionBoard(SystemClock())


@pytest.fixture
def a_pool(tmp_path: Path, board: ConditionBoard) -> Callable[..., AiPool]:
    def make(
        *placements: Placement, request_timeout_s: float = 120, limits=PATIENT, proof_every_s: float = 0
    ) -> AiPool:
        return AiPool(
            placements,
            run_dir=tmp_path / "run",
            state_folder=tmp_path,
            board=board,
            rng=random.Random(1),
            request_timeout_s=request_timeout_s,
            cold_patience_s=180,
            limits=limits,
            cpu_threads=1,
            proof_every_s=proof_every_s,
        )

    return make


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    async def wait(holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(200):
            while not holds():
                await asyncio.sleep(0.05)

    return wait
