"""Who reaches the admin port may ask, and change nothing."""

import httpx
import pytest
from prometheus_client import CollectorRegistry

from livefleet.health import AdminServer, NodeStatus

pytestmark = pytest.mark.component


@pytest.fixture
async def admin():
    status = NodeStatus(
        version="1", fleet="f", name="n", role="orchestrator", network="offchain", digest="d" * 64, release="r",
        started_at=1.0, ready=True, blocking=(), conditions=(), parts={},
    )  # fmt: skip
    async with (
        AdminServer("127.0.0.1:0", lambda: status, CollectorRegistry()) as server,
        httpx.AsyncClient(base_url=f"http://{server.address}") as client,
    ):
        yield client


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/status", "/metrics"])
async def test_admin_port__anything_but_a_question__is_refused(admin, method, path):
    assert (await admin.request(method, path)).status_code == 405


@pytest.mark.parametrize("path", ["/drain", "/reload", "/debug/pprof", "/setBroadcastConfig", "/../etc/passwd"])
async def test_admin_port__any_other_path__is_not_there(admin, path):
    assert (await admin.get(path)).status_code == 404
