"""`livefleet keys plan`: which key sits where."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput, ExitCode

if TYPE_CHECKING:
    from livefleet.control import KeyFacts, KeyOnChain, KeyPlan
    from livefleet.spec import Fleet, Network

__all__ = ["command"]

_STYLE = {"good": "green", "remark": "yellow", "refused": "red"}


@click.command("plan")
@click.argument("fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml")
@click.option("--check-chain", is_flag=True, help="Ask the chain what each address holds, by the fleet's own RPC.")
@click.option(
    "--max-eth", default="1", show_default=True, help="With --check-chain: ETH that a GPU host's key may hold; 0: any."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(ctx: click.Context, fleet: Path, *, check_chain: bool, max_eth: str, as_json: bool) -> None:
    """Say which key of FLEET (fleet.yaml, or $LIVEFLEET_SPEC) sits on which host and what it can do there.

    Refuses, with exit code 2, a key that holds stake on a host that does media work: by its declared role, and with
    --check-chain by what is bonded. Keystores are read for their address only, never opened. Hosts are not contacted.
    Exit code 3 when the chain cannot be asked.
    """
    from livefleet.control import plan_keys
    from livefleet.spec import load_fleet

    limit = _wei(max_eth)
    loaded = load_fleet(fleet)
    facts = _facts(loaded)
    held = asyncio.run(_held(loaded, facts)) if check_chain else None
    plan = plan_keys(loaded, facts, on_chain=held, max_balance=limit)
    if as_json:
        print_json(_json(loaded, plan, held))
    else:
        _print(plan)
    ctx.exit(ExitCode.BAD_INPUT if plan.refused else ExitCode.DONE)


def _facts(fleet: "Fleet") -> dict[str, "KeyFacts"]:
    """What the key files on this machine say."""
    from livefleet.chain import read_key_file
    from livefleet.control import KeyFacts

    found = {}
    for name, key in fleet.spec.keys.items():
        if key.file is None:
            continue
        try:
            file = read_key_file(fleet.path.parent / Path(key.file).expanduser())
            address = file.address if file.is_keystore else file.open().address
            found[name] = KeyFacts(address=address, encrypted=file.is_keystore, mode=file.mode)
        except BadInput as error:
            found[name] = KeyFacts(trouble=str(error))
    return found


async def _held(fleet: "Fleet", facts: Mapping[str, "KeyFacts"]) -> dict[str, "KeyOnChain"]:
    """What every known address holds on its host's network."""
    nodes = [fleet.node(host) for host in fleet.hosts]
    networks: dict[Network, set[str]] = {}
    for node in nodes:
        if not node.network.on_chain:
            continue
        for name in node.keys:
            address = fleet.spec.keys[name].address or (facts[name].address if name in facts else None)
            if address is not None:
                networks.setdefault(node.network, set()).add(address)
    if not networks:
        raise BadInput("--check-chain: no host of this fleet has a key with a known address on a chain")
    found: dict[str, KeyOnChain] = {}
    for network, addresses in networks.items():
        found |= await _held_on(network, sorted(addresses))
    return found


async def _held_on(network: "Network", addresses: list[str]) -> dict[str, "KeyOnChain"]:
    from livefleet.chain import checksum_address, connect
    from livefleet.control import KeyOnChain

    found = {}
    async with await connect(network) as client:
        balances = await client.rpc.batch([("eth_getBalance", (address, "latest")) for address in addresses])
        for address, balance in zip(addresses, balances, strict=True):
            stake = await client.bonding.pending_stake(checksum_address(bytes.fromhex(address[2:])))
            found[address.lower()] = KeyOnChain(stake=stake, balance=int(balance, 16))
    return found


def _wei(eth: str) -> int:
    try:
        amount = Decimal(eth)
    except ArithmeticError as error:
        raise BadInput(f"--max-eth: {eth!r} is no number of ETH") from error
    if not amount.is_finite() or amount < 0:
        raise BadInput(f"--max-eth: {eth!r} is no number of ETH from 0")
    return int(amount * 10**18)


def _json(fleet: "Fleet", plan: "KeyPlan", held: "Mapping[str, KeyOnChain] | None") -> dict[str, Any]:
    def holds(address: str | None) -> dict[str, Any] | None:
        found = held.get(address.lower()) if held is not None and address is not None else None
        return None if found is None else {"stake_lptu": found.stake, "balance_wei": found.balance}

    return {
        "fleet": fleet.name,
        "ok": not plan.refused,
        "keys": [
            {
                "host": seat.host or None,
                "role": seat.host_role or None,
                "key": seat.key,
                "address": seat.address,
                "roles": [role.value for role in seat.roles],
                "place": seat.place,
                "can": seat.can,
                "verdict": seat.verdict.value,
                "findings": list(seat.findings),
                "holds": holds(seat.address),
            }
            for seat in plan.seats
        ],
    }


def _print(plan: "KeyPlan") -> None:
    out = console()
    table = Table("host", "role", "key", "address", "is for", "where", "can", "verdict", box=None)
    for seat in plan.seats:
        table.add_row(
            seat.host or "-",
            seat.host_role or "-",
            seat.key,
            seat.address or "not known",
            ", ".join(seat.roles) or "-",
            seat.place,
            seat.can,
            f"[{_STYLE[seat.verdict]}]{seat.verdict}[/]",
        )
    out.print(table if plan.seats else "this fleet has no keys")
    for seat in plan.seats:
        for text in seat.findings:
            out.print(f"\n{seat.host or '-'}, {seat.key}: {text}", markup=False)
    if plan.refused:
        names = ", ".join(dict.fromkeys(seat.host for seat in plan.refused if seat.host)) or "this machine"
        out.print(f"\nrefused: a key must not be where it is ({names})", markup=False)
