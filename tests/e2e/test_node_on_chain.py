"""A whole agent that keeps declared on-chain state, with its own key and without the orchestrator's."""

import asyncio
import json

import pytest
from click.testing import CliRunner

from livefleet.chain import Proposal
from livefleet.cli import main
from livefleet.kernel import Wei
from tests.builders.agents import an_agent
from tests.builders.chain import a_devchain
from tests.builders.gateways import write_key
from tests.builders.on_chain import LPT
from tests.builders.paid_nodes import network_of
from tests.devchain.accounts import dev_secret, dev_signer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

HOT, COLD = 1, 3
DECLARED = {
    "activate": True,
    "reward_cut": "10%",
    "fee_cut": "5%",
    "min_self_stake": "1000 LPT",
    "service_uri": "https://o.example:8935",
}


def a_node(folder, chain, **on_chain):
    write_key(folder / "var/lib/livefleet/keys/hot.hex", dev_secret(HOT))
    return an_agent(
        folder,
        role="orchestrator",
        orchestrator={"key": "hot"},
        network=network_of(chain.info),
        keys={"hot": {"file": "keys/hot.hex"}},
        gpus="none",
        duties={"transcoding": {"encoder": "software"}},
        on_chain=on_chain,
    )


def has(name, reason, subject=""):
    def found(status):
        return any((c["name"], c["reason"], c["subject"]) == (name, reason, subject) for c in status["conditions"])

    return found


async def nonce(chain, signer):
    return int(await chain.client.rpc.request("eth_getTransactionCount", signer.address, "latest"), 16)


async def test_own_key__declared_activation__is_done_once_over_restarts_and_its_gas_is_told(tmp_path):
    own = dev_signer(HOT)
    async with a_devchain(tmp_path / "chain", round_length=400) as chain:
        await chain.initialize_round()
        await chain.give_lpt(own.address, 1_000 * LPT)
        with a_node(tmp_path / "node", chain, **DECLARED) as agent:
            await asyncio.to_thread(agent.until, "activated", has("OrchestratorActivated", "ActiveNextRound"))
            for condition, reason in (
                ("CutsInStep", "InStep"),
                ("SelfStakeInStep", "Enough"),
                ("ServiceUriInStep", "Registered"),
                ("GasRunway", "Enough"),
            ):
                subject = "hot" if condition == "GasRunway" else ""
                await asyncio.to_thread(agent.until, condition, has(condition, reason, subject))
            sent = await nonce(chain, own)
            assert sent == 4
            agent.kill()
            await asyncio.to_thread(agent.start)
            await asyncio.to_thread(agent.until, "again", has("OrchestratorActivated", "ActiveNextRound"))
            await asyncio.to_thread(agent.until, "gas seen", has("GasRunway", "Enough", "hot"))
            assert await nonce(chain, own) == sent

            balance = agent.metric("livefleet_key_balance_wei", key="hot")
            assert balance == pytest.approx(await chain.client.rpc.balance(own.address))
            assert agent.metric("livefleet_gas_runway_seconds", key="hot") > 0
            assert agent.metric("livefleet_proposals_open") == 0


async def test_cold_key__declared_state__is_pending_until_it_was_signed_elsewhere(tmp_path):
    cold = dev_signer(COLD)
    async with a_devchain(tmp_path / "chain", round_length=400) as chain:
        await chain.initialize_round()
        await chain.give_lpt(cold.address, 1_000 * LPT)
        await chain.give_eth(dev_signer(HOT).address, Wei(10**18))
        with a_node(tmp_path / "node", chain, orchestrator=cold.address, **DECLARED) as agent:
            status = await asyncio.to_thread(agent.until, "two proposals", lambda s: len(s.get("proposals", ())) == 2)
            assert has("ProposalsOpen", "Waiting")(status)
            assert agent.metric("livefleet_proposals_open") == 2
            proposals = [Proposal.from_json(json.dumps(one)) for one in status["proposals"]]
            files = {path.stem for path in (tmp_path / "node/var/lib/livefleet/proposals").iterdir()}
            assert files == {proposal.id for proposal in proposals}

            fleet = tmp_path / "fleet.yaml"
            fleet.write_text(a_fleet_of(tmp_path / "node", agent, chain, cold))
            listed = await asyncio.to_thread(
                CliRunner().invoke,
                main,
                ["chain", "pending", "--fleet", str(fleet), "--out", str(tmp_path / "out"), "--json"],
            )
            assert listed.exit_code == 0, listed.output
            assert {one["id"] for one in json.loads(listed.stdout)["proposals"]} == files
            assert {path.stem for path in (tmp_path / "out").iterdir()} == files

            for proposal in sorted(proposals, key=lambda p: p.topic):
                await chain.sender.send(cold, *(call.call() for call in proposal.calls))
            await chain.next_round()  # the node looks again
            await asyncio.to_thread(agent.until, "active", has("OrchestratorActivated", "Active"))
            await asyncio.to_thread(agent.until, "none pending", has("ProposalsOpen", "None"))
            assert await nonce(chain, dev_signer(HOT)) == 0


def a_fleet_of(root, agent, chain, cold):
    network = json.dumps(network_of(chain.info))
    return f"""\
name: {agent.status()["fleet"]}
network: {network}
keys: {{hot: {{host_file: keys/hot.hex}}}}
hosts:
  {agent.status()["name"]}:
    address: "@local"
    root: {root}
    role: orchestrator
    gpus: none
    monitoring: {{admin_listen: "{agent.admin}"}}
    orchestrator: {{service_uri: "https://o.example:8935", key: hot}}
    on_chain: {{orchestrator: "{cold.address}", service_uri: same}}
"""
