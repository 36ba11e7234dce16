"""The command line for a host, and what a fleet's outcomes come to."""

import pytest

from livefleet.control import DrainOutcome, DrainRequest, FleetDrain, HostDrain
from livefleet.control.drain import agent_drain_command
from livefleet.kernel import ExitCode
from tests.builders.deploys import a_node

pytestmark = pytest.mark.unit


def test_command__names_node_devices_deadline_and_reason():
    request = DrainRequest(devices=("cpu", "GPU-1"), deadline_s=90.5, reason="two words")
    words = agent_drain_command(a_node(root="/srv/x"), request)
    assert words == [
        "/srv/x/opt/livefleet/current/venv/bin/livefleet",
        "agent",
        "drain",
        "/srv/x/etc/livefleet/node.yaml",
        "--json",
        "--device=cpu",
        "--device=GPU-1",
        "--deadline=90.5",
        "--reason=two words",
    ]


def test_command__off__asks_for_nothing_else():
    words = agent_drain_command(a_node(), DrainRequest(reason="x", off=True))
    assert words[0] == "/opt/livefleet/current/venv/bin/livefleet"
    assert words[-2:] == ["--json", "--off"]


O = DrainOutcome  # noqa: E741 -- short for the table


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([O.DRAINED, O.DRAINED], ExitCode.DONE),
        ([O.ASKED], ExitCode.DONE),
        ([O.IN_SERVICE], ExitCode.DONE),
        ([O.DRAINED, O.FAILED], ExitCode.PARTLY_FAILED),
        ([O.NOT_IN_TIME], ExitCode.PARTLY_FAILED),
        ([O.WRONG_INPUT, O.FAILED], ExitCode.PARTLY_FAILED),
        ([O.WRONG_INPUT, O.WRONG_INPUT], ExitCode.BAD_INPUT),
        ([O.FAILED, O.FAILED], ExitCode.OUTSIDE_SAID_NO),
    ],
)
def test_exit_code__follows_from_all_hosts(outcomes, code):
    assert FleetDrain(tuple(HostDrain(f"h{n}", outcome) for n, outcome in enumerate(outcomes))).exit_code is code
