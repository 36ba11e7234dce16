"""Hosts by name, role and group."""

from pathlib import Path

import pytest

from livefleet.control import Selection
from livefleet.kernel import BadInput
from livefleet.spec import Fleet, Role, load_fleet

pytestmark = pytest.mark.unit


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    path = tmp_path / "fleet.yaml"
    path.write_text("""\
name: demo
network: offchain
secrets: {join: {env: JOIN}}
groups: {eu: {}, us: {}, empty: {}}
defaults: {profile: cpu, role: worker, duties: [transcoding], worker: {orchestrator: "10.0.0.1:8935", secret: join}}
hosts:
  orch:
    address: 10.0.0.1
    groups: [eu]
    role: orchestrator
    worker: null
    orchestrator: {service_uri: "https://10.0.0.1:8935", worker_secret: join}
  gpu-1: {address: 10.0.0.2, groups: [eu]}
  gpu-2: {address: 10.0.0.3, groups: [us]}
""")
    return load_fleet(path)


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        (Selection(), ("orch", "gpu-1", "gpu-2")),
        (Selection(hosts=("gpu-2", "orch")), ("orch", "gpu-2")),
        (Selection(roles=(Role.WORKER,)), ("gpu-1", "gpu-2")),
        (Selection(groups=("eu", "us")), ("orch", "gpu-1", "gpu-2")),
        (Selection(roles=(Role.WORKER,), groups=("eu",)), ("gpu-1",)),
    ],
)
def test_selection__either_within_a_kind_and_all_kinds_together(fleet: Fleet, said: Selection, chosen) -> None:
    assert said.of(fleet) == chosen


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (Selection(hosts=("gpu1",)), "no host `gpu1`; did you mean `gpu-1`"),
        (Selection(groups=("uss",)), "no group `uss`; did you mean `us`"),
        (Selection(roles=(Role.REDEEMER,)), "no host is of role redeemer"),
        (Selection(hosts=("orch",), groups=("us",)), "no host is orch and in group us"),
        (Selection(groups=("empty",)), "no host is in group empty"),
    ],
)
def test_selection__nothing_is_left__says_why(fleet: Fleet, said: Selection, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        said.of(fleet)
