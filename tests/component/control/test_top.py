"""`livefleet top` and `livefleet status --watch` of a node with two GPUs, and of a host that is not there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.agents import an_agent, free_port
from tests.nvml import stub

pytestmark = pytest.mark.component

A, B = "GPU-aaaaaaaa-0000-0000-0000-000000000001", "GPU-bbbbbbbb-0000-0000-0000-000000000002"


@pytest.fixture
def fleet(short_path):
    """The fleet file of a running node and of one that does not run."""
    library = stub.build(short_path / "nvml")
    state = stub.NvmlState(short_path / "nvml.state")
    state.gpu(0, A, mem_used=3 << 30, temp=61, enc=37, sessions=2)
    state.gpu(1, B, name="NVIDIA RTX 4090", temp=91)
    env = {
        "LD_LIBRARY_PATH": os.pathsep.join(filter(None, [str(library.parent), os.environ.get("LD_LIBRARY_PATH")])),
        "LIVEFLEET_NVML_STATE": str(state.path),
    }
    node = {"role": "orchestrator", "network": {"name": "offchain"}, "duties": {}, "gpus": "all"}
    with an_agent(short_path / "node", env=env, **node) as agent:
        file = short_path / "fleet.yaml"
        file.write_text(f"""\
name: test
network: offchain
defaults: {{role: orchestrator, duties: []}}
hosts:
  node:
    address: "@local"
    root: {short_path}/node
    monitoring: {{admin_listen: "{agent.admin}"}}
    orchestrator: {{service_uri: "{agent.service_uri}"}}
  away:
    address: "@local"
    root: {short_path}/away
    monitoring: {{admin_listen: "127.0.0.1:{free_port()}"}}
    orchestrator: {{service_uri: "https://127.0.0.1:{free_port()}", listen: "127.0.0.1:{free_port()}"}}
""")
        agent.until_condition("GpuDriver", "Loaded")
        yield file


def livefleet(*words: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("livefleet")
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=60, check=False)


def test_top__two_looks__show_hosts_gpus_and_what_changed(fleet):
    done = livefleet("top", "--fleet", str(fleet), "--times", "2", "--every", "0.2")
    assert done.returncode == 1, done.stderr
    first, second = done.stdout.split("segments/s")[1:]
    for picture in (first, second):
        assert "unreachable" in picture
        assert "NVIDIA L4" in picture
        assert "37% (2)" in picture
        assert "3.0/24 GiB" in picture
        assert "91" in picture
    assert "0.0" in second.split("\n")[1]
    assert "0.0" not in first.split("\n")[1].replace("1.0", "")


def test_top__json__is_one_document_for_machines(fleet):
    done = livefleet("top", "node", "--fleet", str(fleet), "--json")
    assert done.returncode == 0, done.stderr
    (host,) = json.loads(done.stdout)["hosts"]
    assert [gpu["gpu"] for gpu in host["hardware"]["devices"]] == [A, B]


def test_status__watched__is_asked_as_often_as_wanted(fleet):
    done = livefleet("status", "--watch", "--times", "2", "--every", "0.2", "--fleet", str(fleet), "--brief", "node")
    assert (done.returncode, done.stdout.count("conditions that do not hold")) == (0, 2)
    assert livefleet("status", "--watch", "--json", "--fleet", str(fleet)).returncode == 2
