"""What people and the world do on a local chain: coins for accounts, proposals, reorganisations, prices."""

import os
from pathlib import Path
from typing import Any

import click

from livefleet.cli.devchain_link import AS_JSON, FOLDER, coins, from_checkout, on_chain, show
from livefleet.kernel import Address, BadInput, Wei

__all__ = ["ACTS"]

_TEXT = "# Pay for a rehearsal\n\nThis proposal is here to be voted on."


@click.command()
@click.argument("index", type=click.IntRange(0, 9))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Write the key here, 0600.")
@click.option(
    "--eth",
    type=coins,
    metavar="NUMBER",
    default=None,
    help="Set its balance to this many ETH; it starts with a million.",
)
@click.option("--lpt", type=coins, metavar="NUMBER", default="0", help="Bring its balance up to this many LPT.")
@FOLDER
@AS_JSON
def account(index: int, out: Path, eth: int | None, lpt: int, folder: Path, *, as_json: bool) -> None:
    """Write the TEST-ONLY key of account INDEX to a file and print its address.

    0 deployed the contracts and hands out coins, 8 makes proposals, 9 initialises rounds; 1 to 7 are free. Doing it
    twice changes nothing: an existing file must hold that very key.
    """
    accounts = from_checkout("accounts")
    address = accounts.dev_signer(index).address
    secret = accounts.dev_secret(index).hex()

    async def give(chain: Any) -> dict[str, Any]:
        _write(out, secret)
        if eth is not None:
            await chain.give_eth(address, Wei(eth))
        await chain.bring_up_to(address, lpt=lpt)
        return {
            "address": address,
            "file": str(out),
            "wei": await chain.client.rpc.balance(address),
            "lptu": await chain.client.token.balance(address),
        }

    show(on_chain(folder, give), as_json=as_json)


@click.command()
@click.argument("address")
@click.option("--deposit", type=coins, metavar="NUMBER", default="0", help="Bring its deposit up to this many ETH.")
@click.option("--reserve", type=coins, metavar="NUMBER", default="0", help="Bring its reserve up to this many ETH.")
@FOLDER
@AS_JSON
def fund(address: str, deposit: int, reserve: int, folder: Path, *, as_json: bool) -> None:
    """Give the gateway ADDRESS what it lacks of a deposit and a reserve; account 0 pays."""
    gateway = _address(address)

    async def give(chain: Any) -> dict[str, Any]:
        info = await chain.bring_gateway_up_to(gateway, deposit=Wei(deposit), reserve=Wei(reserve))
        return {"gateway": gateway, "deposit_wei": info.deposit, "reserve_wei": info.reserve_remaining}

    show(on_chain(folder, give), as_json=as_json)


@click.command()
@click.option("--to", metavar="ADDRESS", help="Who would be paid; the deployer where left out.")
@click.option("--lpt", type=coins, metavar="NUMBER", default="10", show_default=True, help="How many LPT.")
@click.option(
    "--description", default="# Pay for a rehearsal\n\nThis proposal is here to be voted on.", help="Its text."
)
@FOLDER
@AS_JSON
def propose(to: str | None, lpt: int, description: str, folder: Path, *, as_json: bool) -> None:
    """Propose that the treasury pays LPT, from account 8, and print the proposal's id.

    The first time takes the chain on by some rounds, for the proposer's stake has to count. Voting begins two rounds
    after the proposal. The same proposal again is only looked up.
    """
    treasury = from_checkout("treasury")
    payee = _address(to) if to is not None else from_checkout("accounts").dev_signer(0).address

    async def make(chain: Any) -> dict[str, Any]:
        made = await treasury.propose_payment(chain, to=payee, lpt=lpt, description=description)
        proposal = made.proposal
        return {
            "proposal": str(proposal.id),
            "proposer": proposal.proposer,
            "round": await chain.client.rounds.current_round(),
            "voting_begins_in_round": proposal.snapshot + 1,
            "last_round_of_voting": proposal.deadline,
            "was_there": made.was_there,
        }

    show(on_chain(folder, make), as_json=as_json)


@click.command()
@click.argument("blocks", type=click.IntRange(min=1, max=64))
@FOLDER
@AS_JSON
def reorg(blocks: int, folder: Path, *, as_json: bool) -> None:
    """Replace the last BLOCKS blocks with empty ones: what was mined in them is undone."""

    async def go(chain: Any) -> dict[str, Any]:
        height = await chain.client.rpc.block_number()
        if blocks >= height:
            raise BadInput(f"the chain has {height} blocks; give fewer")
        await chain.reorganise(blocks)
        return {"block": await chain.client.rpc.block_number(), "undone": blocks}

    show(on_chain(folder, go), as_json=as_json)


@click.command("gas-price")
@click.argument("wei", type=click.IntRange(min=1, max=10**15))
@FOLDER
@AS_JSON
def gas_price(wei: int, folder: Path, *, as_json: bool) -> None:
    """Mine a block whose base fee is WEI a gas; each empty block after it costs an eighth less."""

    async def go(chain: Any) -> dict[str, Any]:
        await chain.set_base_fee(Wei(wei))
        block = await chain.client.rpc.request("eth_getBlockByNumber", "latest", False)  # noqa: FBT003 (JSON-RPC)
        return {"block": int(block["number"], 16), "base_fee_wei": int(block["baseFeePerGas"], 16)}

    show(on_chain(folder, go), as_json=as_json)


ACTS = (account, fund, propose, reorg, gas_price)


def _write(path: Path, secret: str) -> None:
    """Make the file readable by its owner only. Raises BadInput where another key is in it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secret + "\n")
    except FileExistsError:
        if path.read_text().strip() != secret:
            raise BadInput(f"{path} exists and holds something else; give another --out, or remove it") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}") from error


def _address(text: str) -> Address:
    from livefleet.chain import checksum_address

    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != 20:
        raise BadInput(f"{text!r} is no address; write 0x and 40 hex digits")
    address = checksum_address(raw)
    if text not in {address, address.lower()}:
        raise BadInput(f"{text}: the checksum of this address is wrong; did you mean {address}?")
    return address
