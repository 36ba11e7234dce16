"""A keykeeper: it calls reward as the orchestrator's reward caller, while the orchestrator's host has no stake key."""

import asyncio
import json
import re
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from livefleet.chain import LocalSigner, keccak256, make_keystore
from livefleet.cli import main
from livefleet.kernel import Wei
from tests.builders.agents import RunningAgent, an_agent
from tests.builders.chain import a_devchain
from tests.builders.gateways import write_key
from tests.builders.metrics import Scrape, drift
from tests.builders.paid_nodes import network_of
from tests.builders.takeovers import changed
from tests.builders.web3signer import a_web3signer
from tests.devchain.accounts import dev_secret, dev_signer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

STAKE, CALLER = 1, 5  # accounts of the public test mnemonic
IDENTITY = keccak256(b"an identity that owns nothing")
PASSPHRASE = "correct-horse-battery"


def keykeeper_of(chain, key: dict, **spec: object) -> dict:
    return {
        "role": "keykeeper",
        "network": network_of(chain.info),
        "keys": {"caller": key},
        "gpus": "none",
        "duties": {"reward": {"check_every_s": 0.3}},
        "keykeeper": {"orchestrator": dev_signer(STAKE).address, "keys": {"reward_caller": "caller"}},
    } | spec


@asynccontextmanager
async def a_chain(folder):
    """The orchestrator is active and has named its reward caller; its own key has left the machine."""
    async with a_devchain(folder, round_length=200) as chain:
        stake, caller = dev_signer(STAKE), dev_signer(CALLER)
        await chain.activate_orchestrator(stake)
        await chain.sender.send(stake, chain.client.bonding.set_reward_caller_call(caller.address))
        await chain.next_round()
        yield chain


async def rewarded(agent: RunningAgent, chain, round_: int) -> None:
    """The agent says so, and the chain agrees."""
    said = re.compile(rf"\b{round_}\b")
    await asyncio.to_thread(
        agent.until,
        f"reward called in round {round_}",
        lambda status: any(
            c["name"] == "RewardCalled" and c["status"] == "true" and said.search(c["message"])
            for c in status["conditions"]
        ),
    )
    assert (await chain.client.bonding.transcoder(dev_signer(STAKE).address)).last_reward_round == round_


def holds(status: dict, condition: str) -> bool:
    return any(c["name"] == condition and c["status"] == "true" for c in status["conditions"])


async def sent_by(chain, signer: LocalSigner) -> int:
    return int(await chain.client.rpc.request("eth_getTransactionCount", signer.address, "latest"), 16)


async def test_keykeeper__calls_reward_for_an_orchestrator_without_its_stake_key(tmp_path):
    async with a_chain(tmp_path / "chain") as chain:
        own = await sent_by(chain, dev_signer(STAKE))
        gpu_root, keeper_root = tmp_path / "gpu", tmp_path / "keeper"
        write_key(gpu_root / "var/lib/livefleet/keys/identity.hex", IDENTITY)
        write_key(keeper_root / "var/lib/livefleet/keys/caller.hex", dev_secret(CALLER))
        gpu = {
            "role": "orchestrator",
            "network": network_of(chain.info),
            "keys": {"identity": {"file": "keys/identity.hex"}},
            "gpus": "none",
            "duties": {"transcoding": {"encoder": "software"}},
            "prices": {"video": "1000 wei"},
            "orchestrator": {"key": "identity", "recipient": dev_signer(STAKE).address},
        }
        keeper = keykeeper_of(chain, {"file": "keys/caller.hex", "address": dev_signer(CALLER).address})
        with an_agent(gpu_root, start=False, **gpu) as working, an_agent(keeper_root, start=False, **keeper) as keeping:
            await asyncio.gather(asyncio.to_thread(working.start), asyncio.to_thread(keeping.start))
            first = await chain.client.rounds.current_round()
            await rewarded(keeping, chain, first)
            thrifty = {"check_every_s": 0.3, "max_gas_price": 1, "urgent_after_percent": 100}
            declared = {"service_uri": "https://new.example:8935"}
            await changed(keeping, duties={"reward": thrifty}, on_chain=declared)
            second = await chain.next_round()
            await asyncio.to_thread(keeping.until, "gas is too dear", lambda s: "above the limit of 1" in json.dumps(s))
            await asyncio.to_thread(keeping.until, "the URI is proposed", lambda s: s["proposals"])
            await changed(keeping, duties={"reward": {"check_every_s": 0.3}}, on_chain=None)
            await rewarded(keeping, chain, second)
            await asyncio.to_thread(keeping.until, "nothing is proposed", lambda s: not s["proposals"])
            assert await sent_by(chain, dev_signer(CALLER)) == 2
            assert await sent_by(chain, dev_signer(STAKE)) == own
            status = keeping.status()
            assert status["role"] == "keykeeper"
            assert status["keykeeper"] == {
                "orchestrator": dev_signer(STAKE).address,
                "keys": [
                    {
                        "name": "caller",
                        "address": dev_signer(CALLER).address,
                        "at": "this host",
                        "for": ["reward_caller"],
                    }
                ],
            }
            assert status["ready"]
            assert keeping.metric("livefleet_reward_calls_total") == 2
            assert drift(Scrape.of(keeping.get("/metrics")[1]), "node", "keys") == []
            stake_key = dev_secret(STAKE).hex().encode()
            for file in (path for path in gpu_root.rglob("*") if path.is_file()):
                assert stake_key not in file.read_bytes()


async def test_keykeeper__what_its_keys_may_not_sign__becomes_a_proposal_that_sign_takes(tmp_path):
    async with a_chain(tmp_path / "chain") as chain:
        root = tmp_path / "keeper"
        write_key(root / "var/lib/livefleet/keys/caller.hex", dev_secret(CALLER))
        declared = {"on_chain": {"service_uri": "https://moved.example.com:8935"}}
        with an_agent(root, start=False, **keykeeper_of(chain, {"file": "keys/caller.hex"}, **declared)) as agent:
            await asyncio.to_thread(agent.start)
            status = await asyncio.to_thread(agent.until, "a proposal", lambda s: s.get("proposals"))
            (proposal,) = status["proposals"]
            assert proposal["signer"] == dev_signer(STAKE).address
            file, cold = tmp_path / "proposal.json", tmp_path / "cold.hex"
            file.write_text(json.dumps(proposal))
            write_key(cold, dev_secret(STAKE))
            words = ["chain", "sign", str(file), "--keystore", str(cold), "--yes", "--broadcast"]
            words += ["--rpc", chain.info.rpc, "--controller", chain.info.controller]
            done = await asyncio.to_thread(lambda: CliRunner().invoke(main, words))
            assert done.exit_code == 0, done.output
            uri = await chain.client.services.service_uri(dev_signer(STAKE).address)
            assert uri == "https://moved.example.com:8935"
            await chain.next_round()
            await asyncio.to_thread(agent.until, "no proposal", lambda s: not s["proposals"])


async def test_keykeeper__with_both_keys__each_sends_what_is_its_own(tmp_path):
    async with a_chain(tmp_path / "chain") as chain:
        root, uri = tmp_path / "keeper", "https://moved.example.com:8935"
        stake, caller = dev_signer(STAKE), dev_signer(CALLER)
        for name, account in (("stake", STAKE), ("caller", CALLER)):
            write_key(root / f"var/lib/livefleet/keys/{name}.hex", dev_secret(account))
        spec = keykeeper_of(chain, {"file": "keys/caller.hex"}, on_chain={"service_uri": uri})
        spec["keys"]["stake"] = {"file": "keys/stake.hex"}
        spec["keykeeper"]["keys"]["orchestrator"] = "stake"
        before = await sent_by(chain, stake)
        with an_agent(root, start=False, **spec) as agent:
            await asyncio.to_thread(agent.start)
            await rewarded(agent, chain, await chain.client.rounds.current_round())
            await asyncio.to_thread(agent.until, "the URI in step", lambda status: holds(status, "ServiceUriInStep"))
            assert await chain.client.services.service_uri(stake.address) == uri
            assert (await sent_by(chain, stake) - before, await sent_by(chain, caller)) == (1, 1)
            status = agent.status()
            assert [(key["name"], key["for"]) for key in status["keykeeper"]["keys"]] == [
                ("stake", ["orchestrator"]),
                ("caller", ["reward_caller"]),
            ]
            assert status["proposals"] == []


async def test_keykeeper__key_at_a_signing_service__rewards_and_says_when_the_service_is_away(tmp_path):
    async with a_chain(tmp_path / "chain") as chain:
        with a_web3signer(dev_secret(CALLER)) as service:
            key = {"address": dev_signer(CALLER).address, "remote": {"url": service.url}}
            with an_agent(tmp_path / "keeper", start=False, **keykeeper_of(chain, key)) as agent:
                await asyncio.to_thread(agent.start)
                await rewarded(agent, chain, await chain.client.rounds.current_round())
                assert agent.status()["keykeeper"]["keys"][0]["at"] == service.url
                service.may_answer.set()
                service.broken_answers = 10_000
                await chain.mine()  # a nudge: look now
                away = await asyncio.to_thread(agent.until_condition, "SignerReachable", "NotReached")
                assert service.url in away["message"]
                assert agent.status()["ready"] is False
                service.broken_answers = 0
                await asyncio.to_thread(agent.until_condition, "SignerReachable", "Reached")
                await rewarded(agent, chain, await chain.next_round())


async def test_secrets__are_in_no_log_and_no_argument_of_a_running_node(tmp_path):
    async with a_chain(tmp_path / "chain") as chain:
        root = tmp_path / "keeper"
        state = root / "var/lib/livefleet"
        address = make_keystore(state / "keys/caller.json", PASSPHRASE, kdf="pbkdf2", rounds=1000)
        write_key(state / "passwords/caller", PASSPHRASE.encode())
        (state / "passwords/caller").write_text(PASSPHRASE)
        await chain.give_eth(address, Wei(10**18))
        await chain.sender.send(dev_signer(STAKE), chain.client.bonding.set_reward_caller_call(address))
        key = {"file": "keys/caller.json", "password_file": "passwords/caller"}
        log = {"monitoring": {"log_level": "DEBUG"}}
        with an_agent(root, start=False, **keykeeper_of(chain, key, **log)) as agent:
            await asyncio.to_thread(agent.start)
            await rewarded(agent, chain, await chain.client.rounds.current_round())
            shown = what_others_see(agent)
            assert b"node.yaml" in shown
            assert PASSPHRASE.encode() not in shown
            assert all(dumps_nothing(process.pid) for process in agent.family())
            told = agent.log() + json.dumps(agent.status()) + agent.get("/metrics")[1]
        secret = keystore_secret(state / "keys/caller.json")
        assert address in told
        for hidden in (PASSPHRASE, secret.hex(), secret.hex().upper()):
            assert hidden not in told


def what_others_see(agent: RunningAgent) -> bytes:
    """Arguments and environments of the node's processes."""
    files = (Path(f"/proc/{process.pid}/{part}") for process in agent.family() for part in ("cmdline", "environ"))
    return b"".join(file.read_bytes() for file in files)


def dumps_nothing(pid: int) -> bool:
    """Whether the process leaves no core file."""
    (line,) = (line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith("Max core"))
    return line.split()[4:6] == ["0", "0"]


def keystore_secret(path) -> bytes:
    """What the keystore protects."""
    from eth_account import Account

    return bytes(Account.decrypt(json.loads(path.read_text()), PASSPHRASE))
