import pytest

from livefleet.kernel import Refused
from livefleet.roles.own_metrics import own_server_readings
from livefleet.wire.server.counters import Counters, ServerSnapshot

pytestmark = pytest.mark.unit


def a_snapshot(**fields):
    nothing = dict.fromkeys(ServerSnapshot.__dataclass_fields__, 0)
    return ServerSnapshot(**nothing | {"workers": (), "ai_workers": (), "certificate_days": None} | fields)


def test_turned_away__is_told_before_the_first__so_that_the_first_is_seen_as_an_increase():
    counters = Counters()

    def told():
        readings = own_server_readings(a_snapshot(), counters)
        refused = [reading for reading in readings if reading[0] == "livefleet_requests_refused_total"]
        return {(labels["request"], labels["reason"]): value for _, _, _, labels, value in refused}

    nobody = {("discovery", "OrchestratorCapped"): 0, ("segment", "OrchestratorCapped"): 0}
    assert told() == nobody
    counters.refuse("segment", Refused("OrchestratorCapped"))
    counters.refuse("llm", Refused("insufficient capacity"))
    assert told() == nobody | {("segment", "OrchestratorCapped"): 1, ("llm", "insufficient capacity"): 1}
