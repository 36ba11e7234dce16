"""A model leaves a GPU that gets no work: real runners, said to be on GPUs that this machine need not have."""

import os
from pathlib import Path

import pytest

from livefleet.ai import Placement, runner_start
from livefleet.ai.launch import settings_of
from livefleet.kernel import Status
from livefleet.spec import ModelOrder, ModelWish
from tests.builders.ai import MODEL_ID, a_job, an_entry, pngs

pytestmark = pytest.mark.component

A, B = "GPU-aaaaaaaa-0000-0000-0000-000000000001", "GPU-bbbbbbbb-0000-0000-0000-000000000002"


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_model_on_a_gpu_set_aside__goes_to_another__its_jobs_end_where_they_are(
    tiny_model: Path, a_pool, board, eventually, monkeypatch
):
    monkeypatch.setattr(
        runner_start,
        "settings_of",
        lambda *args, **more: settings_of(*args, **more).model_copy(update={"device": "cpu"}),
    )
    placement = Placement(an_entry(source=str(tiny_model), device="auto"), A, "float32")

    def said():
        (condition,) = [c for c in board.all() if c.name == "ModelWarm"]
        return condition

    async with a_pool(placement) as pool:
        await eventually(lambda: said().status is Status.TRUE)
        (old,) = pool.runner_pids()[MODEL_ID]
        with pool.reserve(placement.entry.pipeline, MODEL_ID) as place:
            pool.avoid({A: "Xid 79"}, [B])
            assert not any(model.warm for model in pool.advertised())
            assert [one.device for one in pool.placements] == [B]
            picture = pngs(await place.run(a_job(seed=7)))
            assert is_there(old)
        await eventually(lambda: not is_there(old) and said().status is Status.TRUE)
        assert said().message.startswith(f"loaded on {B}")
        assert pngs(await pool.run(a_job(seed=7))) == picture
        pool.avoid({A: "Xid 79"}, [B])
        (new,) = pool.runner_pids()[MODEL_ID]

        # Nowhere else to go: it waits for its GPU.
        pool.avoid({A: "Xid 79", B: "GpuLost"}, [])
        assert (said().status, said().reason) == (Status.FALSE, "GpuSetAside")
        assert "GpuLost" in said().message
        await eventually(lambda: not is_there(new))
        pool.avoid({A: "Xid 79"}, [B])
        assert said().reason in {"NotStarted", "Loading"}


async def test_model_declared_for_that_gpu__waits_for_it(a_pool):
    pool = a_pool(Placement(an_entry(device=A), A, "float16"), Placement(an_entry(model_id="x/other"), B, "float16"))
    pool.avoid({A: "Xid 79"}, [B])
    assert [one.device for one in pool.placements] == [A, B]
    first, second = pool.snapshot().models
    assert (first.state, first.reason) == ("unloaded", "GpuSetAside")
    entry = pool.placements[0].entry
    pool.follow([ModelOrder(pipeline=entry.pipeline, model_id=entry.model_id, wish=ModelWish.LOAD, since=1.0)])
    asked = pool.snapshot().models[0].order
    assert asked is not None
    assert (asked.state, "Xid 79" in asked.text) == ("failed", True)
    assert second.state == "lost"
    pool.avoid({}, [A, B])
    assert pool.snapshot().models[0].reason == "NotStarted"
