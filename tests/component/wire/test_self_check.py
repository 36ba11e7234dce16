"""The node asks itself through its public address."""

import pytest

from livefleet.kernel import Status
from livefleet.wire.channel import service_endpoint
from livefleet.wire.server import FRONT_DOOR_OPEN, SERVICE_REACHABLE
from tests.builders.wire import GATEWAY, ORCHESTRATOR, RecordingTranscoder, TabPayments, free_port, until

pytestmark = pytest.mark.component


def on_chain(signer=ORCHESTRATOR):
    return {"payments": TabPayments(), "signer": signer, "transcoder": RecordingTranscoder()}


async def reason(orchestrator, *reasons):
    await until(lambda: orchestrator.condition(SERVICE_REACHABLE).reason in reasons)
    return orchestrator.condition(SERVICE_REACHABLE)


async def test_self_check__before_it__nothing_is_claimed(serve):
    orchestrator = await serve(**on_chain())
    condition = orchestrator.condition(SERVICE_REACHABLE)
    assert (condition.status, condition.reason, condition.gates_ready) == (Status.UNKNOWN, "NotChecked", False)


@pytest.mark.parametrize("parts", [on_chain(), {"transcoder": RecordingTranscoder()}])
async def test_self_check__reachable__says_so_and_ends_with_the_server(serve, parts):
    orchestrator = await serve(**parts, self_check_s=0.05)
    assert (await reason(orchestrator, "Answered")).status is Status.TRUE
    await orchestrator.server.__aexit__(None, None, None)
    assert orchestrator.condition(SERVICE_REACHABLE) is None


async def test_self_check__public_address_leads_nowhere__is_said_and_the_node_serves_on(serve):
    nowhere = f"https://127.0.0.1:{free_port()}"
    orchestrator = await serve(**on_chain(), service_uri=nowhere, self_check_s=0.05)
    condition = await reason(orchestrator, "Unreachable")
    assert (condition.status, condition.gates_ready) == (Status.FALSE, False)
    assert nowhere in condition.message
    assert orchestrator.condition(FRONT_DOOR_OPEN).status is Status.TRUE
    assert (await orchestrator.info()).transcoder == nowhere


async def test_self_check__another_node_answers__is_told_by_its_signature(serve):
    other = await serve(**on_chain(GATEWAY))
    orchestrator = await serve(**on_chain(), service_uri=other.uri, self_check_s=0.05)
    assert (await reason(orchestrator, "SomebodyElse")).status is Status.FALSE


@pytest.mark.parametrize(
    ("uri", "endpoint"),
    [
        ("https://o.example", "o.example:443"),
        ("https://o.example:8935", "o.example:8935"),
        ("https://[::1]:8935", "[::1]:8935"),
    ],
)
def test_service_endpoint__no_port__is_the_one_of_https(uri, endpoint):
    assert str(service_endpoint(uri)) == endpoint
