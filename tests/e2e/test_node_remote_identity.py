"""An orchestrator whose key is at a signing service: its host signs every result and owns nothing worth stealing."""

import asyncio

import pytest

from tests.builders.gateways import SingleRequests, a_stream, a_stream_client, send
from tests.builders.paid_nodes import ORCHESTRATOR, a_paid_node
from tests.builders.web3signer import a_web3signer
from tests.devchain.accounts import dev_secret, dev_signer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


async def test_stream__results_are_signed_by_the_service_and_no_key_is_on_the_host(tmp_path):
    address = dev_signer(ORCHESTRATOR).address
    with a_web3signer(dev_secret(ORCHESTRATOR)) as service:
        keys = {"orchestrator": {"address": address, "remote": {"url": service.url, "timeout_s": 2.0}}}
        async with a_paid_node(tmp_path, keys=keys, start=False) as node:
            (node.agent.root / "var/lib/livefleet/keys/orchestrator.hex").unlink()
            await asyncio.to_thread(node.agent.start)
            segments, source = a_stream(3)
            async with a_stream_client(node.agent.service_uri, node.gateway) as client:
                report = client.report(await send(client, segments, source))
            assert report.ok, (report.failures, [s.problems for s in report.segments])
            assert all(s.signature_ok for s in report.segments)
            assert len(service.signed) >= len(segments)

            service.broken_answers = 10_000
            await node.chain.mine()  # a nudge: look now
            await asyncio.to_thread(node.agent.until_condition, "SignerReachable", "NotReached")
            assert not node.agent.status()["ready"]
            service.broken_answers = 0
            await asyncio.to_thread(node.agent.until_condition, "SignerReachable", "Reached")
            async with SingleRequests(node.agent.service_uri, node.gateway) as gateway:
                paid = [await credited(node, gateway, segments[0])]
                service.broken_answers = 10_000
                paid.append(await credited(node, gateway, segments[1], error="Internal Server Error"))
                service.broken_answers = 0
                paid.append(await credited(node, gateway, segments[2]))
            assert paid[1] > max(paid[0], paid[2])  # what cannot be signed is not charged


async def credited(node, gateway, segment, *, error: str = "") -> int:
    """Send a segment with a payment of its own; what is left of it in wei."""
    before = node.agent.status()["payments"]["credit_wei"]
    status, text, result = await gateway.post(segment, gateway.payment())
    assert status == 200, text
    assert result.error == error
    assert bool(result.data.sig) is not bool(error)
    return node.agent.status()["payments"]["credit_wei"] - before
