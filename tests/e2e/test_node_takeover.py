"""A changed node.yaml in a whole agent that runs: what is live is in force, running streams and the process go on."""

import asyncio

import pytest

from livefleet.kernel import OutsideWorld
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import Payer, SegmentReport
from livefleet.wire.gateway.discovery import get_orchestrator
from tests.builders.agents import an_agent
from tests.builders.gateways import SingleRequests, a_stream, a_stream_client, send
from tests.builders.paid_nodes import a_paid_node
from tests.builders.takeovers import change, changed
from tests.builders.upgrades import PROFILES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

PARAMS_VALID_BLOCKS = 40
MOST_PAYMENTS = 20  # three tickets of four win


def has(condition, *reasons, subject=""):
    def found(status):
        return any(
            (c["name"], c["subject"]) == (condition, subject) and c["reason"] in reasons for c in status["conditions"]
        )

    return found


async def discover(agent):
    return await get_orchestrator(parse_endpoint(agent.service_uri), Payer(None), None)


async def test_takeover__running_stream__goes_on_while_new_ones_are_measured_by_what_is_new(tmp_path):
    with an_agent(
        tmp_path / "node",
        role="orchestrator",
        network={"name": "offchain"},
        gpus="none",
        duties={"transcoding": {"encoder": "software"}},
    ) as agent:
        pid, started = agent.process.pid, agent.status()["started_at"]
        segments, source = a_stream(4)
        async with a_stream_client(agent.service_uri, None, profiles=PROFILES) as client:
            (first,) = await send(client, segments[:1], source)
            assert isinstance(first, SegmentReport), first
            assert agent.metric("livepeer_segment_source_emerged_total", manifest_id="node-test") is None

            await changed(
                agent,
                orchestrator={"max_sessions": 1},
                monitoring={"log_level": "DEBUG", "metrics_per_stream": True},
                driver={"min_version": "570.26"},
            )
            with pytest.raises(OutsideWorld, match="OrchestratorCapped"):
                await discover(agent)
            assert agent.status()["server"]["max_sessions"] == 1
            (second,) = await send(client, segments[1:2], source)
            assert isinstance(second, SegmentReport), second
            assert '"level": "debug"' in agent.log()

            await changed(agent, orchestrator={"max_sessions": 5})
            await discover(agent)
            duty = {"encoder": "software", "max_sessions": 1, "max_load": 0.5}
            await changed(agent, duties={"transcoding": duty}, monitoring={"log_level": "ERROR"})
            with pytest.raises(OutsideWorld, match="OrchestratorCapped"):  # its one place on the device is taken
                await discover(agent)
            assert agent.status()["load"]["limit"] == 0.5
            quiet = len(agent.log())
            (third,) = await send(client, segments[2:3], source)
            assert isinstance(third, SegmentReport), third
            assert agent.metric("livefleet_load_limit_ratio") == 0.5
            assert len(agent.log()) == quiet

            code, said = await asyncio.to_thread(
                change, agent, service={"stop_timeout_s": 7}, orchestrator={"max_sessions": 6}
            )
            assert (code, said["taken"]) == (1, False)
            assert said["message"] == "all else is as declared; restart the node for service.stop_timeout_s"
            status = agent.status()
            assert status["spec"]["restart_for"] == ["service.stop_timeout_s"]
            assert status["server"]["max_sessions"] == 6
            (fourth,) = await send(client, segments[3:4], source)
            assert isinstance(fourth, SegmentReport), fourth
        assert (agent.process.pid, agent.status()["started_at"], agent.process.poll()) == (pid, started, None)


async def test_takeover__limits_and_declarations_on_chain__are_gone_by_at_once(tmp_path):
    transcoding = {"encoder": "software"}
    waiting = {"reward": {"max_gas_price": 1, "urgent_after_percent": 100, "check_every_s": 0.3}}
    patient = {"redemption": {"max_gas_price": 1, "urgent_before_s": 0.1, "check_every_s": 0.5, "collect_s": 0}}
    async with a_paid_node(
        tmp_path, round_length=2000, duties={"transcoding": transcoding, **waiting, **patient}
    ) as node:
        agent, client = node.agent, node.chain.client
        (segment, *_), _ = a_stream(3)
        async with SingleRequests(agent.service_uri, node.gateway) as gateway:
            for _ in range(MOST_PAYMENTS):
                assert (await gateway.post(segment, gateway.payment()))[0] == 200
                if agent.status()["payments"]["tickets"]["pending"]["count"]:
                    break
            await node.chain.mine(PARAMS_VALID_BLOCKS + 1)
            await asyncio.to_thread(
                agent.until, "gas is too dear", lambda s: "gas" in str(s["redemption"]["waiting_for"])
            )
            assert not has("RewardCalled", "Called")(agent.status())
            assert agent.status()["payments"]["tickets"]["redeemed"]["count"] == 0

            # What is on chain is declared for the first time, and what its keys hold is judged anew.
            await changed(agent, on_chain={"service_uri": "https://new.example:8935", "gas": {"warn_below": "1e9 eth"}})
            await asyncio.to_thread(agent.until, "registered", has("ServiceUriInStep", "Registered"))
            await asyncio.to_thread(agent.until, "gas", has("GasRunway", "Low", subject="orchestrator"))

            await changed(
                agent, duties={"reward": {"check_every_s": 0.3}, "redemption": {"check_every_s": 0.5, "collect_s": 0}}
            )
            await asyncio.to_thread(agent.until, "rewarded", has("RewardCalled", "Called"))
            await asyncio.to_thread(
                agent.until, "redeemed", lambda s: s["payments"]["tickets"]["redeemed"]["count"] > 0
            )
            await gateway.discover()  # the parameters of before have expired
            assert (await gateway.post(segment, gateway.payment()))[0] == 200

            before = agent.status()
            code, said = await asyncio.to_thread(
                change, agent, prices={"video": "1 USD per 1e12"}, orchestrator={"max_sessions": 3}
            )
            assert (code, said["taken"]) == (1, False)
            assert "needs a price feed" in said["message"]
            assert agent.status()["digest"] == before["digest"]  # not half of it either
            assert agent.status()["server"]["max_sessions"] == before["server"]["max_sessions"] != 3
            await asyncio.to_thread(change, agent, prices={"video": "100000 wei"})

            await changed(agent, on_chain=None)
            await asyncio.to_thread(
                agent.until,
                "nothing declared",
                lambda s: not any(c["name"] == "ServiceUriInStep" for c in s["conditions"]),
            )
            assert await client.services.service_uri(node.orchestrator.address) == "https://new.example:8935"
