"""`livefleet chain sign --broadcast` killed at the worst moment, and questions on a real terminal."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from livefleet.chain import propose, proposed_call, read_key_file
from livefleet.chain.contracts.bonding_manager import BOND
from livefleet.chain.contracts.livepeer_token import APPROVE
from tests.devchain.accounts import dev_secret, dev_signer

pytestmark = [pytest.mark.component, pytest.mark.timeout(120)]

LPT = 10**18
SIGNER = dev_signer(3)
PATIENCE_S = 30
OFF, ON = False, True


def a_command(*words, **settings):
    return subprocess.Popen([sys.executable, "-m", "livefleet", *map(str, words)], **settings)


async def test_sign__killed_after_the_first_call_was_sent__broadcast_finishes_and_nothing_is_done_twice(
    devchain, tmp_path
):
    await devchain.give_lpt(SIGNER.address, 1000 * LPT)
    token, bonding, rpc = devchain.client.token, devchain.client.bonding, devchain.client.rpc
    calls = [
        proposed_call(token.call(APPROVE, bonding.address, 100 * LPT), APPROVE),
        proposed_call(bonding.call(BOND, 100 * LPT, SIGNER.address), BOND),
    ]
    facts = {"chain_id": devchain.info.chain_id, "signer": SIGNER.address, "topic": "stake", "made_at": 1.0}
    proposal, cold = tmp_path / "proposal.json", tmp_path / "cold.hex"
    proposal.write_text(propose(**facts, title="stake", reason="declared", calls=calls).to_json())
    cold.write_text(dev_secret(3).hex())
    cold.chmod(0o600)
    where = ("--rpc", devchain.info.rpc, "--controller", devchain.info.controller)
    await rpc.request("evm_setAutomine", OFF)
    signing = a_command(
        "chain", "sign", proposal, "--keystore", cold, "--yes", "--broadcast", *where, stderr=subprocess.PIPE, text=True
    )
    try:
        said = await asyncio.to_thread(lines_until, signing.stderr, "call 1 of 2 is sent")
    finally:
        signing.send_signal(signal.SIGKILL)
        signing.wait()
        signing.stderr.close()
    assert "proposal.signed.json" in said
    await rpc.request("evm_setAutomine", ON)
    await devchain.mine()
    again = a_command(
        "chain", "broadcast", tmp_path / "proposal.signed.json", *where, stdout=subprocess.PIPE, text=True
    )
    told, _ = await asyncio.to_thread(again.communicate, timeout=PATIENCE_S)
    assert again.returncode == 0
    assert ", before this run" in told.splitlines()[0]
    assert await bonding.pending_stake(SIGNER.address) == 100 * LPT
    assert int(await rpc.request("eth_getTransactionCount", SIGNER.address, "latest"), 16) == 2


def lines_until(stream, text: str) -> str:
    """What came on the stream until a line had the text."""
    read = ""
    for line in stream:
        read += line
        if text in line:
            return read
    raise AssertionError(f"ended without {text!r}:\n{read}")


@pytest.mark.parametrize(("second", "code"), [("correct horse", 0), ("another horse", 2)])
def test_keys_new__on_a_terminal__asks_twice_and_shows_nothing_of_it(tmp_path, second, code):
    out = tmp_path / "new.json"
    ours, theirs = pty.openpty()
    command = a_command(
        "keys",
        "new",
        "--out",
        out,
        "--kdf",
        "pbkdf2",
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        shown = until(ours, "New passphrase of")
        os.write(ours, b"correct horse\n")
        shown += until(ours, "The same again")
        os.write(ours, second.encode() + b"\n")
        shown += rest(ours)
        assert command.wait(PATIENCE_S) == code
    finally:
        command.kill()
        command.wait()
        os.close(ours)
    assert "horse" not in shown
    assert out.exists() is (code == 0)
    if code == 0:
        assert read_key_file(out).open("correct horse").address in shown
    else:
        assert "the two passphrases differ; nothing was written" in shown


def until(terminal: int, text: str) -> str:
    """What the terminal shows until the text is there."""
    read, deadline = "", time.monotonic() + PATIENCE_S
    while text not in read:
        assert time.monotonic() < deadline, read
        read += os.read(terminal, 4096).decode()
    return read


def rest(terminal: int) -> str:
    """What it shows until the other side closes."""
    read = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # Linux says so when nobody holds the other end
            return read.decode()
        if not part:
            return read.decode()
        read += part
