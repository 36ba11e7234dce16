"""What the role worker asks of its node."""

import pytest

from livefleet.hardware import HardwareSampler, UncountedMemory, VramLedger
from livefleet.kernel import BadInput, ConditionBoard, SystemClock
from livefleet.roles import RoleContext, WorkerRole
from livefleet.spec import NodeSpec

pytestmark = pytest.mark.unit

MODEL = {"pipeline": "text-to-image", "model_id": "m"}


def a_role(*duties: str, models: tuple[dict, ...] = ()) -> WorkerRole:
    spec = NodeSpec.model_validate(
        {
            "fleet": "f",
            "name": "n",
            "role": "worker",
            "worker": {"orchestrator": "o:8935", "secret": "pool"},
            "duties": list(duties),
            "models": list(models),
        }
    )
    clock = SystemClock()
    return WorkerRole(
        RoleContext(
            spec, ConditionBoard(clock), clock, HardwareSampler(clock, every_s=60), VramLedger(UncountedMemory())
        )
    )


@pytest.mark.parametrize(
    ("duties", "models", "required"),
    [
        (("transcoding",), (), {"JoinedOrchestrator", "TranscoderReady"}),
        (("ai",), (MODEL,), {"JoinedOrchestrator", "ModelWarm"}),
        (("ai",), (MODEL | {"warm": False},), {"JoinedOrchestrator"}),
        (("ai", "transcoding"), (MODEL,), {"JoinedOrchestrator", "TranscoderReady", "ModelWarm"}),
    ],
)
def test_worker__duties__say_when_it_is_ready(duties, models, required):
    role = a_role(*duties, models=models)
    assert set(role.required) == required
    assert (role.parts(), role.readings()) == ({}, [])


def test_worker__without_a_duty__is_refused():
    with pytest.raises(BadInput, match="needs the duty `transcoding`, `ai` or both"):
        a_role()
