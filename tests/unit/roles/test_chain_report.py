"""What /metrics tells of endpoints."""

from types import SimpleNamespace

import pytest

from livefleet.chain import EndpointHealth, EndpointState
from livefleet.roles.chain_report import own_chain_readings

pytestmark = pytest.mark.unit


def resting(*states):
    """By endpoint, of endpoints `a` in the first state, `b` in the second and so on."""
    endpoints = tuple(
        EndpointHealth(f"http://{name}", 1, 0, resting=state is EndpointState.RESTING, state=state)
        for name, state in zip("abc", states, strict=False)
    )
    head = SimpleNamespace(l1_block=1, current_round=1)
    watcher = SimpleNamespace(
        head=lambda: head, last_look=lambda: SimpleNamespace(age_s=1.0), looks=1, reorganisations=0, endpoints=endpoints
    )
    readings = own_chain_readings(watcher)
    return {labels["endpoint"]: value for name, _, _, labels, value in readings if name == "livefleet_rpc_resting"}


def test_rpc_resting__rest_is_over_and_nothing_was_heard_since__is_still_left_out():
    states = (EndpointState.HEALTHY, EndpointState.RESTING, EndpointState.RECOVERING)
    assert resting(*states) == {"http://a": 0.0, "http://b": 1.0, "http://c": 1.0}
