"""The short form of `python -m tests.fault.runners`."""

import random
from pathlib import Path

import pytest

from tests.fault.runners import Fault, run

pytestmark = pytest.mark.component


async def test_faults__under_load__are_answered_confined_and_survived(tiny_model: Path, tmp_path: Path):
    # In turn to one model and the other: each loses its process once, and one of them pauses before.
    faults = [Fault.MEMORY, Fault.PAUSE, Fault.KILL, Fault.HANG, Fault.CANCEL, Fault.CANCEL]
    outcome = await run(tmp_path, tiny_model, faults, models=2, rng=random.Random(1))
    print(outcome.table())
    assert outcome.verdict() == []
    assert [model.losses for model in outcome.models] == [1, 1]
    assert any(not request.answer for request in outcome.requests)
    assert outcome.starved
