import pytest

from tests.builders.on_chain_keeping import keeping
from tests.devchain.accounts import dev_signer

pytestmark = pytest.mark.component

ORCHESTRATOR = dev_signer(1)


async def test_service_uri__two_registries__are_kept_apart_and_corrected_when_they_drift(devchain, tmp_path):
    client = devchain.client
    assert client.ai_services is not None
    assert client.ai_services.address != client.services.address
    async with keeping(devchain.info.network, ORCHESTRATOR, tmp_path, service_uri="https://o.example:8935") as kept:
        await kept.settle()
        assert await client.ai_services.service_uri(ORCHESTRATOR.address) == ""

        await devchain.sender.send(ORCHESTRATOR, client.services.set_service_uri_call("https://elsewhere.example"))
        await kept.settle()
    assert await client.services.service_uri(ORCHESTRATOR.address) == "https://o.example:8935"


async def test_service_uri__the_same_place_in_other_words__is_left_as_it_is(devchain, tmp_path):
    found = "HTTPS://O.example:8935/"
    await devchain.sender.send(ORCHESTRATOR, devchain.client.services.set_service_uri_call(found))
    async with keeping(devchain.info.network, ORCHESTRATOR, tmp_path, service_uri="https://o.example:8935") as kept:
        await kept.settle()
    assert await devchain.client.services.service_uri(ORCHESTRATOR.address) == found
