import pytest

from livefleet.chain import ServiceUriDuty, Transactions
from tests.devchain.accounts import dev_signer

pytestmark = pytest.mark.component

ORCHESTRATOR = dev_signer(1)


async def test_service_uri__two_registries__are_kept_apart(devchain, tmp_path):
    client = devchain.client
    assert client.ai_services is not None
    assert client.ai_services.address != client.services.address
    async with Transactions(
        client.rpc, ORCHESTRATOR, tmp_path / "t.sqlite3", chain_id=devchain.info.chain_id
    ) as transactions:
        duty = ServiceUriDuty(client.services, transactions, "https://o.example:8935")
        uri = duty.plan(await duty.observe())
        assert uri == "https://o.example:8935"
        assert (await duty.apply(uri)).succeeded
        assert duty.plan(await duty.observe()) is None
    assert await client.services.service_uri(ORCHESTRATOR.address) == "https://o.example:8935"
    assert await client.ai_services.service_uri(ORCHESTRATOR.address) == ""
