"""`livefleet chain plan|propose` against a chain: what would change, and what each wrong thing ends with."""

import asyncio
import json

import pytest
from click.testing import CliRunner

from livefleet.chain import Proposal
from livefleet.cli import main
from livefleet.kernel import Wei
from tests.builders.gateways import write_key
from tests.builders.on_chain import LPT
from tests.devchain.accounts import dev_secret, dev_signer

pytestmark = pytest.mark.component

ORCHESTRATOR, COLD = dev_signer(1), dev_signer(3)

FLEET = """\
name: demo
network: {{name: devchain, rpc: ['{rpc}'], controller: '{controller}', chain_id: {chain_id}}}
keys:
  hot: {{file: key, address: '{hot}'}}
  cold: {{address: '{cold}', roles: [cold]}}
hosts:
  o1:
    address: '@local'
    role: orchestrator
    orchestrator: {{service_uri: 'https://o.example:8935', key: hot}}
    on_chain: {{{section}}}
"""
CUTS = "reward_cut: 12%, fee_cut: 50%"
COLD_CUTS = f"orchestrator: cold, {CUTS}, service_uri: same"


@pytest.fixture
def write(devchain, tmp_path):
    def write(section, **changes):
        facts = {
            "rpc": devchain.info.rpc,
            "controller": devchain.info.controller,
            "chain_id": devchain.info.chain_id,
            "hot": ORCHESTRATOR.address,
            "cold": COLD.address,
        }
        path = tmp_path / "fleet.yaml"
        path.write_text(FLEET.format(section=section, **(facts | changes)))
        return path

    return write


async def run(*arguments):
    return await asyncio.to_thread(CliRunner().invoke, main, ["chain", *map(str, arguments)])


async def sent(chain, *signers):
    counts = await chain.client.rpc.batch([("eth_getTransactionCount", (s.address, "latest")) for s in signers])
    return [int(count, 16) for count in counts]


async def test_plan__cuts_differ__says_the_step_and_who_sends_it(devchain, write):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    await devchain.sender.send(ORCHESTRATOR, devchain.client.bonding.reward_call(COLD.address, COLD.address))

    result = await run("plan", write(CUTS))
    told = json.loads((await run("plan", write(CUTS), "--json")).stdout)

    assert result.exit_code == 0, result.output
    assert "CutsInStep             changes      Changing: reward cut 10%, fee cut 50%; declared: reward cut 12%" in (
        result.stdout
    )
    assert "the node sends: set reward cut 12%, fee cut 50%" in result.stdout
    assert result.stdout.endswith("1 transaction(s) to send\n")
    assert told["changes"] is True
    (duty,) = told["hosts"][0]["duties"]
    assert (duty["state"], duty["changes"][0]["function"]) == ("changing", "transcoder(uint256,uint256)")


async def test_plan__all_as_declared__says_there_is_nothing(devchain, write):
    await devchain.activate_orchestrator(ORCHESTRATOR, reward_cut=120_000, fee_share=500_000)

    result = await run("plan", write(CUTS))

    assert result.stdout.endswith("nothing to change\n")


async def test_plan__locked_round__says_when_it_goes_on_and_changes_nothing(devchain, write):
    await devchain.activate_orchestrator(ORCHESTRATOR)
    client = devchain.client
    await devchain.sender.send(ORCHESTRATOR, client.bonding.reward_call(COLD.address, COLD.address))
    await devchain.mine(await client.rounds.current_round_start_block() + 46 - await client.rounds.block_num())

    result = await run("plan", write(CUTS))

    assert result.exit_code == 0
    assert "waits        Locked" in result.stdout
    assert "is locked since L1 block" in result.stdout
    assert result.stdout.endswith("nothing to change\n")


async def test_plan__account_without_eth__says_how_much_it_needs(devchain, write):
    await devchain.initialize_round()
    await devchain.give_eth(ORCHESTRATOR.address, Wei(10**9))

    result = await run("plan", write(f"{CUTS}, activate: true, min_self_stake: 5 LPT"))

    assert "blocked      TooLittleEth" in result.stdout
    assert "holds 0.000000001 ETH; activating may take" in result.stdout


async def test_propose__cold_orchestrator__writes_what_can_be_signed_and_then_nothing_more(devchain, write, tmp_path):
    await devchain.initialize_round()
    await devchain.give_lpt(COLD.address, 1_000 * LPT)
    section = f"{COLD_CUTS}, activate: true, min_self_stake: 1000 LPT"
    out = tmp_path / "out"

    result = await run("propose", write(section), "--out", out)

    assert result.exit_code == 0, result.output
    assert await sent(devchain, ORCHESTRATOR, COLD) == [0, 0]
    proposals = [Proposal.from_json(path.read_text()) for path in out.iterdir()]
    assert {p.signer for p in proposals} == {COLD.address}
    for proposal in sorted(proposals, key=lambda p: p.topic):
        await devchain.sender.send(COLD, *(call.call() for call in proposal.calls))
    entry = await devchain.client.bonding.transcoder(COLD.address)
    assert (entry.reward_cut, entry.fee_share) == (120_000, 500_000)
    assert (await run("propose", write(section), "--out", tmp_path / "again")).stdout == "0 proposal(s) written\n"


async def test_propose_and_sign__cold_orchestrator__is_activated_by_its_own_key_alone(devchain, write, tmp_path):
    await devchain.initialize_round()
    await devchain.give_lpt(COLD.address, 1_000 * LPT)
    key = tmp_path / "cold.hex"
    write_key(key, dev_secret(3))
    fleet, out = write(f"{COLD_CUTS}, activate: true, min_self_stake: 1000 LPT"), tmp_path / "out"
    assert (await run("propose", fleet, "--out", out)).exit_code == 0

    for path in sorted(out.iterdir()):
        signed = await run("sign", path, "--keystore", key, "--broadcast", "--yes", "--fleet", fleet)
        assert signed.exit_code == 0, signed.output

    told = json.loads((await run("plan", fleet, "--json")).stdout)
    assert told["changes"] is False
    assert {duty["condition"]: duty["reason"] for duty in told["hosts"][0]["duties"]} == {
        "OrchestratorActivated": "ActiveNextRound",
        "SelfStakeInStep": "Enough",
        "CutsInStep": "InStep",
        "ServiceUriInStep": "Registered",
    }
    assert await sent(devchain, ORCHESTRATOR, COLD) == [0, 4]


async def test_propose__the_nodes_own_key__is_left_to_the_node_unless_asked_for(devchain, write, tmp_path):
    section = "service_uri: same"

    left = await run("propose", write(section), "--out", tmp_path / "a")
    taken = await run("propose", write(section), "--out", tmp_path / "b", "--all", "--json")

    assert left.stdout == "0 proposal(s) written; 1 left to nodes, which sign by themselves\n"
    assert len(json.loads(taken.stdout)["proposals"]) == 1


async def test_signed_by_proposal__own_key_at_hand__is_proposed_all_the_same(write, tmp_path):
    result = await run("propose", write("service_uri: same, signed_by: proposal"), "--out", tmp_path / "a")

    assert result.stdout.endswith("1 proposal(s) written\n")


@pytest.mark.parametrize("command", ["plan", "propose"])
@pytest.mark.parametrize(
    ("section", "changes", "code", "words"),
    [
        ("reward_cut: 101%", {}, 2, "fleet.yaml:11:28: `reward_cut`: '101%' is more than 100%"),
        ("reward_cut: 0.1", {}, 2, "0.1 is no share; write it with its sign"),
        ("max_change: 0%, reward_cut: 5%", {}, 2, "`max_change` of 0% would never change anything"),
        (f"reward_caller: '{COLD.address.replace('0x9', '0x8')}'", {}, 2, "has a wrong checksum (EIP-55)"),
        ("orchestrator: nobody, service_uri: same", {}, 2, "no key `nobody` under `keys`"),
        ("service_uri: same", {"chain_id": 42161}, 3, "serves chain 1337, not 42161"),
        ("service_uri: same", {"controller": "0x" + "12" * 20}, 3, "there is no contract at the Controller's address"),
        ("service_uri: same", {"rpc": "http://127.0.0.1:9"}, 3, "no JSON-RPC endpoint answers"),
    ],
)
async def test_bad_input__ends_with_a_sentence_and_its_code_and_sends_nothing(
    devchain, write, tmp_path, command, section, changes, code, words
):
    options = ["--out", tmp_path / "out"] if command == "propose" else []

    result = await run(command, write(section, **changes), *options)

    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert await sent(devchain, ORCHESTRATOR, COLD) == [0, 0]
    assert not (tmp_path / "out").exists()


async def test_plan__nothing_declared__ends_with_2(write):
    path = write("service_uri: same")
    path.write_text(path.read_text().replace("    on_chain: {service_uri: same}\n", ""))

    result = await run("plan", path)

    assert result.exit_code == 2
    assert "no host declares anything under `on_chain`" in result.stderr


async def test_plan__the_spec_does_not_say_whose_state_it_is__ends_with_2(write):
    path = write("service_uri: same")
    path.write_text(path.read_text().replace(f", address: '{ORCHESTRATOR.address}'", ""))

    result = await run("plan", path)

    assert result.exit_code == 2
    assert "say `keys.hot.address`, or `on_chain.orchestrator`" in result.stderr
