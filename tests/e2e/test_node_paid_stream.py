"""Video work paid for, honestly and otherwise, over the front door of a whole agent."""

import asyncio

import pytest
import pytest_asyncio

from livefleet.wire.gateway import Payer
from tests.builders.gateways import ForgedSigner, SingleRequests, a_stream, a_stream_client, send
from tests.builders.paid_nodes import a_paid_node

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

# Input that is at fault under these texts is no reason for a gateway to leave.
UNPUNISHED = {
    "Unsupported input pixel format", "Error initializing filtergraph", "Too many outputs", "Unsupported input codec",
    "No keyframes in input", "Unrecoverable state, restart process", "Encoded frames runaway",
    "TranscoderInvalidVideo",
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory):
    async with a_paid_node(tmp_path_factory.mktemp("paid")) as node:
        yield node


@pytest_asyncio.fixture(loop_scope="module")
async def requests(node):
    async with SingleRequests(node.agent.service_uri, node.gateway) as session:
        yield session


def payments(node):
    return node.agent.status()["payments"]


async def test_stream__three_segments_three_renditions__every_check_holds_and_tickets_count(node):
    segments, source = a_stream(3)
    before = node.agent.status()
    async with a_stream_client(node.agent.service_uri, node.gateway) as client:
        outcomes = await send(client, segments, source)
        report = client.report(outcomes)
    after = node.agent.status()
    assert report.ok, (report.failures, [s.problems for s in report.segments])
    assert [len(s.renditions) for s in report.segments] == [3, 3, 3]
    assert all(s.signature_ok for s in report.segments)
    assert all(r.pixels == r.reported_pixels and r.has_audio for s in report.segments for r in s.renditions)
    assert report.retries == 0
    counted = [s["payments"]["tickets"]["received"]["count"] for s in (before, after)]
    assert counted[1] - counted[0] == report.spending.tickets > 0
    assert after["server"]["segments_ok"] - before["server"]["segments_ok"] == 3
    pixels = sum(s.pixels for s in report.segments)
    assert after["server"]["pixels"] - before["server"]["pixels"] == pixels
    # What was paid and not used is the session's credit, to the wei.
    credit = after["payments"]["credit_wei"] - before["payments"]["credit_wei"]
    assert abs(credit - (report.spending.expected_value - report.spending.fees)) <= 1


async def test_ticket__signed_by_another_key__is_refused_and_nothing_credited(node, requests):
    (segment, *_), _ = a_stream(3)
    before = payments(node)
    forged = requests.payment(payer=Payer(ForgedSigner(node.gateway.address)))
    assert (await requests.post(segment, forged))[:2] == (400, "invalid ticket signature")
    after = payments(node)
    assert after["tickets"] == before["tickets"]
    assert after["credit_wei"] == before["credit_wei"]
    assert sum(after["refused"].values()) == sum(before["refused"].values()) + 1

    status, text, result = await requests.post(segment, requests.payment())
    assert (status, text) == (200, "")
    assert len(result.data.segments) == 3
    assert payments(node)["tickets"]["received"]["count"] > before["tickets"]["received"]["count"]


async def test_payment__sent_again__is_refused_even_after_kill_and_restart(node, requests):
    (first, second, third), _ = a_stream(3)
    payment = requests.payment()
    assert (await requests.post(first, payment))[0] == 200
    paid = payments(node)["tickets"]["received"]

    status, text, _ = await requests.post(second, payment)
    assert status == 400
    assert text.startswith("invalid ticket senderNonce: already seen")
    assert payments(node)["tickets"]["received"] == paid

    await asyncio.to_thread(node.agent.kill)
    await asyncio.to_thread(node.agent.start)
    assert payments(node)["tickets"]["received"] == paid
    status, text, _ = await requests.post(third, payment)
    assert status == 400
    assert text.startswith("invalid ticket senderNonce: already seen")
    assert payments(node)["tickets"]["received"] == paid
    assert (await requests.post(third, requests.payment(seconds=4)))[0] == 200


async def test_segment__body_is_not_what_was_signed__is_forbidden(node, requests):
    (segment, other, _), _ = a_stream(3)
    done = node.agent.status()["server"]["segments_ok"]
    assert (await requests.post(segment, requests.payment(), body=other.data))[:2] == (403, "Forbidden")
    assert node.agent.status()["server"]["segments_ok"] == done
    # The payment that came with it is kept: the right body needs no other.
    assert (await requests.post(segment, requests.empty_payment()))[0] == 200


async def test_segment__junk_under_a_right_hash__fails_alone(node, requests):
    (first, second, _), _ = a_stream(3)
    junk = type(first)(first.sequence, b"\x47 no video " * 4000, first.duration_ms)
    status, _, result = await requests.post(junk, requests.payment())
    assert status == 200
    assert result.WhichOneof("result") == "error"
    assert result.error in UNPUNISHED
    assert result.info.auth_token == requests.info.auth_token

    status, _, result = await requests.post(second, requests.empty_payment())  # junk cost nothing
    assert status == 200
    assert result.error == ""
    assert len(result.data.segments) == 3


async def test_session__agent_killed_and_started__goes_on_as_promised_before(node, requests):
    (first, second, third), _ = a_stream(3)
    before = payments(node)["credit_wei"]
    status, _, result = await requests.post(first, requests.payment(seconds=3))
    assert status == 200
    assert len(result.data.segments) == 3
    held = payments(node)["credit_wei"]
    assert held > before
    promised = requests.payment()  # of parameters quoted before the kill, sent after it

    await asyncio.to_thread(node.agent.kill)
    await asyncio.to_thread(node.agent.start)
    assert payments(node)["credit_wei"] == held
    status, _, result = await requests.post(second, requests.empty_payment())  # from the balance
    assert status == 200
    assert len(result.data.segments) == 3
    assert result.info.auth_token == requests.info.auth_token
    received = payments(node)["tickets"]["received"]["count"]
    status, _, result = await requests.post(third, promised)
    assert status == 200
    assert len(result.data.segments) == 3
    assert result.info.auth_token == requests.info.auth_token
    assert payments(node)["tickets"]["received"]["count"] > received
