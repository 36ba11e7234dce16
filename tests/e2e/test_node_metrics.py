"""What whole agents expose to Prometheus after real work, held against the table in health/README.md."""

import asyncio
import socket
import subprocess

import httpx
import pytest

from livefleet.wire.gateway import Payer
from tests.builders.agents import an_agent
from tests.builders.gateways import ForgedSigner, SingleRequests, a_stream, a_stream_client, send
from tests.builders.metrics import Scrape, drift
from tests.builders.paid_nodes import a_paid_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

PARAMS_VALID_BLOCKS = 40
MOST_PAYMENTS = 20  # three tickets of four win
GWEI = 10**9
LADDER = {
    "profiles": "P144p30fps16x9,P240p30fps16x9,P360p30fps16x9", "trusted": "trusted", "verified": "verified",
}  # fmt: skip

# As go-livepeer's exporter shows them: sorted, doubles merged, zero dropped.
BOUNDS = {
    "livepeer_source_segment_duration_seconds": ".5 1 1.5 2 2.5 3 3.5 4 4.5 5 10 15 20",
    "livepeer_download_time_seconds": ".1 .15 .2 .5 10",
    "livepeer_transcode_time_seconds": ".25 .5 .75 1 1.25 1.5 2 2.5 3 3.5 4 4.5 5 10",
    "livepeer_transcode_score": ".5 1 1.5 2 2.5 3 3.5 4 4.5 5 10 15 20 40",
    "livepeer_auth_webhook_time_milliseconds": "100 250 500 750 1000 1500 2000 2500 3000 5000 10000",
}


def scrape(agent):
    code, text = agent.get("/metrics")
    assert code == 200, text
    return text, Scrape.of(text)


def floats(bounds):
    return [float(bound) for bound in bounds]


async def redeem_a_winner(node, requests, segment):
    for _ in range(MOST_PAYMENTS):
        assert (await requests.post(segment, requests.payment()))[0] == 200
        if node.agent.status()["payments"]["tickets"]["won"]["count"]:
            break
    await node.chain.mine(PARAMS_VALID_BLOCKS + 1)
    status = await asyncio.to_thread(
        node.agent.until, "redeemed", lambda s: s["payments"]["tickets"]["pending"]["count"] == 0
    )
    return status["payments"]["tickets"]


async def test_orchestrator__paid_stream_and_a_redeemed_winner__every_row_with_its_value(tmp_path):
    duties = {
        "transcoding": {"encoder": "software"},
        "redemption": {"check_every_s": 0.5, "max_gas_price": "50 gwei"},
        "reward": {"check_every_s": 1},
    }
    async with a_paid_node(tmp_path, duties=duties) as node:
        segments, source = a_stream(3)
        async with a_stream_client(node.agent.service_uri, node.gateway) as client:
            outcomes = await send(client, segments, source)
            report = client.report(outcomes)
            assert report.ok, report.failures
            _, streaming = scrape(node.agent)
        async with SingleRequests(node.agent.service_uri, node.gateway) as requests:
            forged = requests.payment(payer=Payer(ForgedSigner(node.gateway.address)))
            assert (await requests.post(segments[0], forged))[:2] == (400, "invalid ticket signature")
            tickets = await redeem_a_winner(node, requests, segments[0])
        await asyncio.to_thread(node.agent.until_condition, "RewardCalled", "Called")
        text, after = scrape(node.agent)
        status = node.agent.status()

    assert drift(after, "node", "orch", "chain", "redeems", "media") == []
    owned = {"node_id": socket.gethostname(), "node_type": "orch"}
    owned_names = [s for s in after.samples if s.name.startswith("livepeer_") and s.name != "livepeer_versions"]
    assert all(owned.items() <= sample.labels.items() for sample in owned_names)
    (versions,) = after.labels("livepeer_versions")
    assert versions["node_type"] == "orch"
    assert versions["livepeerversion"].count(".") == 2

    assert streaming.value("livepeer_current_sessions_total") == 1
    assert streaming.value("livefleet_device_sessions", device="cpu") == 1
    assert streaming.value("livefleet_cores_sessions_used") > 0
    sent = streaming.value("livepeer_segment_source_emerged_unprocessed_total")
    assert sent == streaming.value("livepeer_segment_transcoded_downloaded_total") == len(segments)
    assert streaming.value("livepeer_source_segment_duration_seconds_sum") == pytest.approx(3, abs=0.2)
    assert streaming.value("livepeer_segment_transcoded_total", **LADDER) == 3
    taken_s = streaming.value("livepeer_transcode_time_seconds_sum", **LADDER)
    assert 0 < taken_s < 60
    assert streaming.value("livepeer_transcode_score_count", **LADDER) == 3
    assert streaming.value("livepeer_transcode_score_sum", **LADDER) > 0
    assert streaming.value("livepeer_mil_pixels_processed") == sum(s.pixels for s in report.segments) / 1e6
    assert streaming.value("livepeer_tickets_recv") == report.spending.tickets
    earned = float(report.spending.expected_value) / GWEI
    assert streaming.value("livepeer_ticket_value_recv") == pytest.approx(earned)
    assert streaming.value("livepeer_gateway_ticket_face_value", sender=node.gateway.address) == 4000
    assert streaming.value("livepeer_gateway_max_float", sender=node.gateway.address) == 10**9
    assert streaming.value("livepeer_transcoding_price") >= 100_000

    assert after.value("livepeer_winning_tickets_recv") == tickets["won"]["count"] > 0
    redeemed = tickets["redeemed"]
    assert after.value("livepeer_value_redeemed") == redeemed["face_value_wei"] / GWEI > 0
    assert after.value("livefleet_winning_tickets", state="redeemed") == redeemed["count"]
    assert after.value("livefleet_winning_tickets_wei", state="redeemed") == redeemed["face_value_wei"]
    assert after.value("livefleet_winning_tickets", state="pending") == 0
    assert after.value("livefleet_redemptions_paid_wei_total") == status["payments"]["paid_wei"]
    assert after.value("livefleet_reward_calls_total") == 1
    assert after.value("livepeer_reward_call_errors") == after.value("livepeer_ticket_redemption_errors") == 0
    assert after.value("livepeer_payment_recv_errors", error_code="PaymentError") == 1
    refused = {"request": "segment", "reason": "InvalidTicketSignature"}
    assert after.value("livefleet_requests_refused_total", **refused) == 1
    assert after.value("livefleet_payments_refused_total", reason="InvalidTicketSignature") == 1
    assert after.value("livepeer_max_gas_price") == 50
    assert after.value("livefleet_store_commit_seconds_count") > 0
    assert after.value("livefleet_rpc_requests_total") > 10
    assert after.value("livefleet_rpc_failures_total") == after.value("livefleet_rpc_resting") == 0
    assert after.value("livefleet_front_door_open") == 1
    assert {name: floats(after.bounds(name)[:-1]) for name in BOUNDS} == {
        name: floats(bounds.split()) for name, bounds in BOUNDS.items()
    }
    check_with_promtool(text)


async def test_worker__work_of_an_orchestrator_without_devices__is_told_on_both_sides(tmp_path):
    secret = tmp_path / "worker-secret"
    secret.write_text("shared\n")
    secrets = {"workers": str(secret)}
    settings = {"worker_secret": "workers"}
    with an_agent(
        tmp_path / "o", role="orchestrator", gpus="none", secrets=secrets, orchestrator=settings,
        monitoring={"metrics_per_stream": True},
    ) as orchestrator:  # fmt: skip
        address = orchestrator.service_uri.removeprefix("https://")
        with an_agent(
            tmp_path / "w", role="worker", gpus="none", secrets=secrets,
            worker={"orchestrator": address, "secret": "workers", "capacity": 4},
            duties={"transcoding": {"encoder": "software"}},
        ) as worker:  # fmt: skip
            segments, source = a_stream(3)
            async with a_stream_client(orchestrator.service_uri, None) as client:
                report = client.report(await send(client, segments, source))
                assert report.ok, report.failures
                async with httpx.AsyncClient(verify=False) as http:
                    assert (await http.post(f"{orchestrator.service_uri}/segment")).status_code == 403
                _, there = scrape(worker)
                _, here = scrape(orchestrator)

    assert drift(there, "node", "work", "media") == []
    assert there.value("livepeer_current_sessions_total", node_type="trcr") == 1
    uri = {"orchestrator_uri": orchestrator.service_uri}
    assert there.value("livepeer_segment_source_uploaded_total", **uri) == 3
    assert there.value("livepeer_upload_time_seconds_count", **uri) == 3
    assert there.value("livepeer_segment_transcoded_total", **LADDER) == 3
    assert there.value("livefleet_source_fetch_seconds_count") == 3
    pixels = sum(s.pixels for s in report.segments)
    assert there.value("livefleet_worker_pixels_encoded_total") == pixels

    assert drift(here, "node", "orch", per_stream=True) == []
    assert here.value("livepeer_transcoders_number") == here.value("livepeer_transcoders_load") == 1
    assert here.value("livepeer_transcoders_capacity") == 4
    assert here.value("livefleet_sessions", where="workers") == 1
    assert here.value("livepeer_segment_source_emerged_unprocessed_total", manifest_id="node-test") == 3
    assert here.value("livepeer_mil_pixels_processed", manifest_id="node-test") == pixels / 1e6
    # Segments are read from the gateway, results from the worker, whose upload names no stream.
    assert here.value("livepeer_download_time_seconds_count", manifest_id="node-test") == 3
    assert here.value("livepeer_download_time_seconds_count", manifest_id="") == 3
    assert "livepeer_segment_transcoded_total" not in here.kinds
    assert here.value("livefleet_requests_refused_total", request="segment", reason="missing auth token") == 1


def check_with_promtool(text):
    """Prometheus' own parser takes every line, and finds our own names lovely."""
    # It exits with 3 for names that it finds unlovely, which are go-livepeer's; 1 is text that it cannot read.
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    assert done.returncode in {0, 3}, done.stdout + done.stderr
    assert "livefleet_" not in done.stdout + done.stderr
