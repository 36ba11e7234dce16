"""Proposals signed by a key that no host has, and sent: prepare, sign, broadcast as commands against a real chain."""

import asyncio
import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from livefleet.chain import Call, PreparedProposal, SignedProposal, prepare, propose, proposed_call, sign_prepared
from livefleet.chain.contracts.bonding_manager import BOND, TRANSCODER, WITHDRAW_FEES
from livefleet.chain.contracts.livepeer_token import APPROVE
from livefleet.cli import main
from livefleet.kernel import OutsideWorld, Wei
from tests.builders.web3signer import a_web3signer
from tests.devchain.accounts import dev_secret, dev_signer

pytestmark = pytest.mark.component

LPT = 10**18
SIGNER = dev_signer(3)


@pytest.fixture
def cold(tmp_path):
    path = tmp_path / "cold.hex"
    path.write_text(dev_secret(3).hex())
    path.chmod(0o600)
    return path


@pytest.fixture
async def chain(devchain):
    await devchain.give_lpt(SIGNER.address, 1000 * LPT)
    return devchain


def a_proposal(chain, *calls, **changes):
    facts = {"chain_id": chain.info.chain_id, "signer": SIGNER.address, "topic": "stake", "title": "stake 100 LPT"}
    facts |= {"reason": "declared", "made_at": 1.0}
    return propose(**(facts | changes), calls=[proposed_call(call, function) for call, function in calls])


def approve_and_bond(chain, amount=100 * LPT):
    token, bonding = chain.client.token, chain.client.bonding
    return (
        (token.call(APPROVE, bonding.address, amount), APPROVE),
        (bonding.call(BOND, amount, SIGNER.address), BOND),
    )


@pytest.fixture
def proposal(chain, tmp_path):
    path = tmp_path / "proposal.json"
    path.write_text(a_proposal(chain, *approve_and_bond(chain)).to_json())
    return path


async def run(*words):
    return await asyncio.to_thread(lambda: CliRunner().invoke(main, ["chain", *map(str, words)]))


def where(chain):
    return "--rpc", chain.info.rpc, "--controller", chain.info.controller


async def nonce_of(chain):
    return int(await chain.client.rpc.request("eth_getTransactionCount", SIGNER.address, "latest"), 16)


async def test_sign__with_a_network__both_calls_are_mined_in_order(chain, proposal, cold):
    done = await run("sign", proposal, "--keystore", cold, "--yes", "--broadcast", "--json", *where(chain))
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [call["contract"] for call in told["calls"]] == ["LivepeerToken", "BondingManager"]
    assert told["calls"][0]["arguments"] == {
        "spender": f"{chain.client.bonding.address} (BondingManager)",
        "amount": "100 LPT",
    }
    assert [one["call"] for one in told["sent"]] == [1, 2]
    assert await chain.client.bonding.pending_stake(SIGNER.address) == 100 * LPT
    assert "bond: stakes LPTU" in done.stderr
    assert "call 2: gas assumed" in done.stderr
    assert dev_secret(3).hex() not in done.output


async def test_sign__twice__never_signs_a_second_time(chain, proposal, cold):
    words = ("sign", proposal, "--keystore", cold, "--yes", "--broadcast", *where(chain))
    assert (await run(*words)).exit_code == 0
    again = await run(*words)
    assert again.exit_code == 2
    assert "this was signed already" in again.stderr
    assert await chain.client.bonding.pending_stake(SIGNER.address) == 100 * LPT


async def test_offline__prepared_signed_without_a_network_and_sent(chain, proposal, cold, tmp_path):
    prepared, signed = tmp_path / "proposal.prepared.json", tmp_path / "proposal.signed.json"
    assert (await run("prepare", proposal, *where(chain))).exit_code == 0
    told = await run("sign", prepared, "--keystore", cold, "--yes", "--rpc", "http://127.0.0.1:9")
    assert told.exit_code == 0, told.output
    assert f"livefleet chain broadcast {signed}" in told.stdout
    assert "BondingManager" in told.stderr
    assert await nonce_of(chain) == 0
    for was_there in (False, True):
        sent = await run("broadcast", signed, "--json", *where(chain))
        assert sent.exit_code == 0, sent.output
        assert [one["was_there"] for one in json.loads(sent.stdout)["sent"]] == [was_there] * 2
    assert await nonce_of(chain) == 2
    assert await chain.client.bonding.pending_stake(SIGNER.address) == 100 * LPT


async def test_sign__by_a_signing_service__is_sent(chain, proposal):
    with a_web3signer(dev_secret(3)) as service:
        done = await run("sign", proposal, "--remote", service.url, "--yes", "--broadcast", *where(chain))
        assert done.exit_code == 0, done.output
        assert [data[0] for data in service.signed] == [2, 2]
    assert await chain.client.bonding.pending_stake(SIGNER.address) == 100 * LPT


async def test_sign__service_has_another_key__ends_with_3_and_nothing_is_written(chain, proposal, tmp_path):
    with a_web3signer(dev_secret(4)) as service:
        done = await run("sign", proposal, "--remote", service.url, "--yes", *where(chain))
    assert done.exit_code == 3
    assert f"holds no key of {SIGNER.address}; it holds {dev_signer(4).address}" in done.stderr
    assert not (tmp_path / "proposal.signed.json").exists()


async def test_sign__another_keys_keystore__is_refused_before_the_chain_is_asked(chain, proposal, tmp_path):
    other = tmp_path / "other.hex"
    other.write_text(dev_secret(4).hex())
    done = await run("sign", proposal, "--keystore", other, "--yes", *where(chain))
    assert done.exit_code == 2
    assert f"is the key of {dev_signer(4).address}, the proposal is for {SIGNER.address}" in done.stderr


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("100000000000000000000", "900000000000000000000", "it was changed after it was made"),
        ('"chain_id": 1337', '"chain_id": 42161', "it was changed after it was made"),
        ('"signer"', '"sender"', "this is no proposal: signer"),
        ("{", "", "is not whole JSON"),
    ],
)
async def test_sign__changed_proposal__is_refused(chain, proposal, cold, was, now, said):
    proposal.write_text(proposal.read_text().replace(was, now))
    done = await run("sign", proposal, "--keystore", cold, "--yes", *where(chain))
    assert done.exit_code == 2
    assert said in done.stderr


async def test_sign__proposal_for_another_chain__is_refused(chain, proposal, cold):
    proposal.write_text(a_proposal(chain, *approve_and_bond(chain), chain_id=42161).to_json())
    done = await run("sign", proposal, "--keystore", cold, "--yes", *where(chain))
    assert done.exit_code == 2
    assert "is for chain 42161, the endpoints serve chain 1337; nothing is signed" in done.stderr


async def test_sign__first_call_would_fail__ends_with_3_and_nothing_is_written(chain, proposal, cold, tmp_path):
    bonding = chain.client.bonding
    call = (bonding.call(WITHDRAW_FEES, SIGNER.address, 10**18), WITHDRAW_FEES)
    proposal.write_text(a_proposal(chain, call).to_json())
    done = await run("sign", proposal, "--keystore", cold, "--yes", *where(chain))
    assert done.exit_code == 3
    assert "call 1 would fail now, the contract says:" in done.stderr
    assert not (tmp_path / "proposal.signed.json").exists()


async def test_sign__signer_without_eth__ends_with_3_and_says_how_much(chain, proposal, cold):
    await chain.client.rpc.request("anvil_setBalance", SIGNER.address, "0x1")
    done = await run("sign", proposal, "--keystore", cold, "--yes", *where(chain))
    assert done.exit_code == 3
    assert "holds 0.000000000000000001 ETH" in done.stderr
    assert "send it some ETH" in done.stderr


async def test_sign__contract_that_is_not_the_protocols__wants_to_be_named(chain, proposal, cold):
    foreign = dev_signer(7).address
    proposal.write_text(a_proposal(chain, (Call(foreign, APPROVE.encode(SIGNER.address, 1)), APPROVE)).to_json())
    words = ("sign", proposal, "--keystore", cold, "--yes", *where(chain))
    absent = await run(*words, "--trust", foreign)
    assert absent.exit_code == 3
    assert f"call 1 goes to {foreign}, where there is no contract; nothing is signed" in absent.stderr
    await chain.client.rpc.request("anvil_setCode", foreign, "0x00")  # takes whatever it is sent
    refused = await run(*words)
    assert refused.exit_code == 2
    assert f"{foreign}: none of the protocol's contracts" in refused.stderr
    assert "NOT one of the protocol's contracts" in refused.stderr
    assert (await run(*words, "--trust", foreign.lower())).exit_code == 0


@pytest.mark.parametrize(
    ("controller", "code", "said"),
    [
        (SIGNER.address, 3, "there is no contract at the Controller's address"),
        (SIGNER.address.replace("f", "F", 1), 2, "checksum"),
        ("0x1234", 2, "0x1234"),
    ],
)
async def test_prepare__controller_that_is_none__is_told(chain, proposal, controller, code, said):
    done = await run("prepare", proposal, "--rpc", chain.info.rpc, "--controller", controller)
    assert done.exit_code == code
    assert said in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--keystore", "{cold}"), "without a terminal there is nobody to ask"),
        (("--yes",), "say which key signs"),
        (("--yes", "--keystore", "{cold}", "--remote", "http://127.0.0.1:9"), "say which key signs"),
        (("--yes", "--keystore", "absent"), "absent: cannot read the key file"),
    ],
)
async def test_sign__what_is_missing__is_told(chain, proposal, cold, words, said):
    done = await run("sign", proposal, *(word.format(cold=cold) for word in words), *where(chain))
    assert done.exit_code == 2
    assert said in done.stderr


async def test_broadcast__nonce_was_taken__is_told_and_nothing_is_sent(chain, proposal, cold, tmp_path):
    assert (await run("sign", proposal, "--keystore", cold, "--yes", *where(chain))).exit_code == 0
    token = chain.client.token
    await chain.sender.send(SIGNER, token.call(APPROVE, chain.client.bonding.address, 1))
    done = await run("broadcast", tmp_path / "proposal.signed.json", *where(chain))
    assert done.exit_code == 3
    assert "is at 1 already: another transaction took it" in done.stderr
    assert await chain.client.bonding.pending_stake(SIGNER.address) == 0


async def test_broadcast__second_call_would_fail__stops_there_and_goes_on_later(chain, proposal, cold, tmp_path):
    proposal.write_text(a_proposal(chain, *approve_and_bond(chain, 1500 * LPT)).to_json())
    signed = tmp_path / "proposal.signed.json"
    assert (await run("sign", proposal, "--keystore", cold, "--yes", *where(chain))).exit_code == 0
    done = await run("broadcast", signed, *where(chain))
    assert done.exit_code == 3
    assert "call 2 would fail now" in done.stderr
    assert await nonce_of(chain) == 1
    await chain.give_lpt(SIGNER.address, 1000 * LPT)
    done = await run("broadcast", signed, *where(chain))
    assert done.exit_code == 0, done.output
    assert "call 1: mined in block" in done.stdout
    assert ", before this run" in done.stdout.splitlines()[0]
    assert await chain.client.bonding.pending_stake(SIGNER.address) == 1500 * LPT


async def test_broadcast__changed_file__is_refused(chain, proposal, cold, tmp_path):
    assert (await run("sign", proposal, "--keystore", cold, "--yes", *where(chain))).exit_code == 0
    signed = tmp_path / "proposal.signed.json"
    body = json.loads(signed.read_text())
    body["raw"].reverse()
    signed.write_text(json.dumps(body))
    done = await run("broadcast", signed, *where(chain))
    assert done.exit_code == 2
    assert "transaction 1 is not call 1" in done.stderr


async def test_broadcast__another_chain__is_refused(chain, cold, tmp_path):
    elsewhere = a_proposal(chain, *approve_and_bond(chain), chain_id=1338)
    own = await prepare(chain.client, a_proposal(chain, *approve_and_bond(chain)))
    signed = await sign_prepared(replace(own, proposal=elsewhere), SIGNER)
    file = tmp_path / "other.signed.json"
    file.write_text(signed.to_json())
    done = await run("broadcast", file, *where(chain))
    assert done.exit_code == 2
    assert "signed for chain 1338, the endpoints serve chain 1337; nothing was sent" in done.stderr


async def test_broadcast__base_fee_rose_above_the_highest_fee__says_to_sign_again(chain, proposal, cold, tmp_path):
    assert (await run("sign", proposal, "--keystore", cold, "--yes", *where(chain))).exit_code == 0
    await chain.set_base_fee(Wei(500 * 10**9))
    done = await run("broadcast", tmp_path / "proposal.signed.json", *where(chain))
    assert done.exit_code == 3
    assert "prepare and sign again" in done.stderr


async def test_prepared_and_signed__read_back_equal(chain):
    prepared = await prepare(chain.client, a_proposal(chain, *approve_and_bond(chain)))
    assert PreparedProposal.from_json(prepared.to_json()) == prepared
    signed = await sign_prepared(prepared, SIGNER)
    assert SignedProposal.from_json(signed.to_json()) == signed
    assert [transaction.nonce for transaction in signed.transactions] == [prepared.nonce, prepared.nonce + 1]


async def test_prepare__cuts_in_the_locked_part_of_a_round__says_when_they_can_be_set(chain):
    await chain.activate_orchestrator(SIGNER, service_uri="https://127.0.0.1:8935")
    bonding, rounds = chain.client.bonding, chain.client.rounds
    call = (bonding.call(TRANSCODER, 100_000, 900_000), TRANSCODER)
    await chain.next_round()
    await chain.mine(chain.info.round_length - 3)
    assert await rounds.current_round_locked()
    with pytest.raises(OutsideWorld, match=r"locked.*try again in the next round"):
        await prepare(chain.client, a_proposal(chain, call))
