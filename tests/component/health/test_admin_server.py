import httpx
import pytest
from prometheus_client import CollectorRegistry

from livefleet.hardware import GpuSample
from livefleet.health import AdminServer, GpuCollector, NodeCollector, NodeStatus, ReadingCollector
from livefleet.kernel import Condition, OutsideWorld, Status
from tests.builders.hardware import some_hardware

pytestmark = pytest.mark.component


def a_status(*, ready, message="no <model> yet"):
    blocking = () if ready else (Condition("ModelWarm", Status.FALSE, "Loading", message, subject="owner/model"),)
    return NodeStatus(
        version="1.2.3", fleet="f", name="n", role="orchestrator", network="offchain", digest="d" * 64,
        release="checkout", started_at=1.0, ready=ready, blocking=blocking, conditions=blocking,
        parts={"payments": {"tickets": 3}},
    )  # fmt: skip


@pytest.fixture
async def admin():
    state = {"status": a_status(ready=False)}
    registry = CollectorRegistry()
    registry.register(NodeCollector(lambda: state["status"]))
    gpu = GpuSample(0, "GPU-1", "L4", memory_total=10, temperature_c=40)
    registry.register(GpuCollector(some_hardware(gpu)))
    registry.register(
        ReadingCollector(lambda: [("livepeer_tickets_recv", "counter", "Tickets.", {"sender": "0x1"}, 3.0)])
    )
    async with (
        AdminServer("127.0.0.1:0", lambda: state["status"], registry) as server,
        httpx.AsyncClient(base_url=f"http://{server.address}") as client,
    ):
        yield client, state, server


async def test_readyz__follows_the_conditions(admin):
    client, state, _ = admin
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["blocking"][0]["name"] == "ModelWarm"
    state["status"] = a_status(ready=True)
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "blocking": []})


async def test_status__has_identity_conditions_and_parts(admin):
    client, _, _ = admin
    body = (await client.get("/status")).json()
    assert (body["version"], body["role"], body["digest"]) == ("1.2.3", "orchestrator", "d" * 64)
    assert body["payments"] == {"tickets": 3}
    assert body["conditions"][0]["subject"] == "owner/model"


async def test_metrics__state_is_read_at_scrape(admin):
    client, state, _ = admin
    before = (await client.get("/metrics")).text
    assert "livefleet_node_ready 0.0" in before
    assert 'livefleet_condition_status{condition="ModelWarm",reason="Loading",subject="owner/model"} 0.0' in before
    assert 'livefleet_gpu_temperature_celsius{gpu="GPU-1"} 40.0' in before
    assert 'livepeer_tickets_recv{sender="0x1"} 3.0' in before
    state["status"] = a_status(ready=True)
    assert "livefleet_node_ready 1.0" in (await client.get("/metrics")).text


async def test_page__texts_are_escaped(admin):
    client, _, _ = admin
    page = (await client.get("/")).text
    assert "no &lt;model&gt; yet" in page
    assert (await client.get("/healthz")).text == "ok\n"


async def test_address_taken__says_which_and_why(admin):
    _, state, server = admin
    with pytest.raises(OutsideWorld, match=server.address):
        async with AdminServer(server.address, lambda: state["status"], CollectorRegistry()):
            pass
