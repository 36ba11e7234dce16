"""Declared GPUs and driver against what was seen."""

from typing import Any

import pytest

from livefleet.control.events import SeenHardware
from livefleet.control.plan_hardware import hardware_findings
from livefleet.spec import NodeSpec

pytestmark = pytest.mark.unit

A, B = "GPU-0000aaaa", "GPU-1111bbbb"


def a_node(**fields: Any) -> NodeSpec:
    return NodeSpec.model_validate({"fleet": "f", "name": "n", "role": "monitor", **fields})


def seen(*uuids: str, devices: int | None = None, driver: str = "580.95.05") -> SeenHardware:
    gpus = [{"uuid": uuid, "model": "RTX A4000"} for uuid in uuids]
    return SeenHardware.model_validate(
        {"devices": len(uuids) if devices is None else devices, "driver": driver, "gpus": gpus}
    )


def found(node: NodeSpec, hardware: SeenHardware) -> list[tuple[str, str, bool]]:
    return [(finding.kind, finding.subject, finding.differs) for finding in hardware_findings("h", node, hardware)]


@pytest.mark.parametrize(
    ("node", "hardware", "expected"),
    [
        ({}, seen(), []),
        ({}, seen(A, B), []),
        ({"gpus": [A, B]}, seen(B, A), []),
        ({"gpus": [A, B]}, seen(A), [("missing", B, True)]),
        ({"gpus": [A]}, seen(), [("missing", A, True)]),
        ({"gpus": [A]}, seen(A, B), [("undeclared", B, False)]),
        ({"gpus": "none"}, seen(A), [("undeclared", A, False)]),
        ({"gpus": "none"}, seen(devices=1, driver=""), []),
        ({"gpus": [A]}, seen("GPU-????????-????"), [("unseen", A, False)]),
        ({"gpus": ["MIG-0000aaaa"]}, seen(A), [("unseen", "MIG-0000aaaa", False), ("undeclared", A, False)]),
        ({}, seen(devices=1, driver=""), [("driver", "driver", True)]),
        ({"gpus": [A, B]}, seen(devices=1, driver=""),
         [("driver", "driver", True), ("unseen", A, False), ("unseen", B, False), ("missing", "cards", True)]),
        ({"driver": {"branch": 580}}, seen(A), []),
        ({"driver": {"branch": 570}}, seen(A), [("driver", "driver", True)]),
        ({"driver": {"branch": 570, "install": False}}, seen(A), []),
        ({"driver": {"version": "580.65.06"}}, seen(A), [("driver", "driver", True)]),
        ({"driver": {"min_version": "590", "install": False}}, seen(A), [("driver", "driver", True)]),
        ({"driver": {"min_version": "580.95"}}, seen(A), []),
        ({"cards": ["a4000"]}, seen(A), []),
        ({"cards": ["rtx-3060"]}, seen(A), [("card", "cards", True)]),
        ({"cards": ["rtx-3060"], "gpus": [B]}, seen(A, B), [("card", "cards", True), ("undeclared", A, False)]),
        ({"cards": ["rtx-3060"], "gpus": "none"}, seen(A), [("undeclared", A, False)]),
        ({"cards": ["a4000"]}, seen(), [("card", "cards", True)]),
        ({"cards": ["a4000"]}, seen(devices=1, driver=""), [("driver", "driver", True)]),
    ],
)  # fmt: skip
def test_findings__each_pair_of_declared_and_seen(
    node: dict[str, Any], hardware: SeenHardware, expected: list[tuple[str, str, bool]]
) -> None:
    assert found(a_node(**node), hardware) == expected


def test_findings__a_missing_card__says_what_is_there() -> None:
    (finding,) = hardware_findings("h", a_node(gpus=[A]), seen(B))[:1]
    assert finding.text == f"declared but not present; present: {B}"
