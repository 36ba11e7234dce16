"""`livefleet chain round`: a round's time, inflation and rewards, and an orchestrator's part of them."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from livefleet.cli.chain.where import Where, where_options
from livefleet.cli.output import console, print_json

if TYPE_CHECKING:
    from livefleet.chain import RoundView

__all__ = ["command"]

_BILLION = 10**9


@click.command("round")
@click.argument("number", required=False, type=click.IntRange(min=0))
@click.option(
    "--address", metavar="ADDRESS", help="Whose part is told. None: the spec's orchestrator, where it names one."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@where_options
def command(number: int | None, *, where: Callable[[str | None], Where], address: str | None, as_json: bool) -> None:
    """Show round NUMBER (the current one, unless given).

    What a past round's logs say is known everywhere; its stake and supply only to endpoints that keep old state. Exit
    code 2 for a round that is to come or was never initialised, 3 when the chain cannot be read.
    """
    place = where(address)
    found = asyncio.run(_read(place, number))
    if as_json:
        print_json(_document(found))
    else:
        _print(found)


async def _read(place: Where, number: int | None) -> "RoundView":
    from livefleet.chain import connect, read_round

    async with await connect(place.network) as client:
        return await read_round(client, place.orchestrator, round_=number, l1_block_s=place.network.l1_block_s)


def _document(found: "RoundView") -> dict[str, Any]:
    time, state = found.time, found.state
    return {
        "round": found.round,
        "initialized": found.initialized,
        "current": found.is_current,
        "inflation_per_billion": found.inflation,
        "mintable_lptu": str(found.mintable),
        "minted_lptu": str(found.minted),
        "treasury_lptu": _text(found.treasury),
        "own": None if found.address is None else {
            "address": found.address,
            "reward_lptu": _text(found.own_reward),
            "treasury_lptu": _text(found.own_treasury),
            "expected_lptu": _text(found.expected),
            "stake_lptu": _text(state.own_stake) if state else None,
            "active": state.own_active if state else None,
        },
        "state": None if state is None else {
            "supply_lptu": str(state.supply),
            "active_stake_lptu": str(state.active_stake),
            "participation_per_billion": state.participation,
            "target_bonding_rate_per_billion": state.target_bonding_rate,
            "inflation_change_per_billion": state.inflation_change,
            "treasury_cut_per_1e27": str(state.treasury_cut),
            "pool_size": state.pool_size,
            "pool_max_size": state.pool_max_size,
        },
        "time": None if time is None else {
            "start_l1_block": time.start_block,
            "lock_l1_block": time.lock_block,
            "end_l1_block": time.end_block,
            "now_l1_block": time.now_block,
            "started_at": time.started_at,
            "locked_at": time.locked_at,
            "ends_at": time.ends_at,
        },
    }  # fmt: skip


def _print(found: "RoundView") -> None:
    from livefleet.ledger import coins

    rows: list[tuple[str, str]] = [("initialised", "yes" if found.initialized else "not yet: nothing can be rewarded")]
    if (time := found.time) is not None:
        rows += [
            ("now", f"L1 block {time.now_block}"),
            ("began", f"L1 block {time.start_block}, {_when(time.started_at)}"),
            ("cuts locked from", f"L1 block {time.lock_block}, about {_when(time.locked_at)}"),
            ("ends", f"L1 block {time.end_block}, about {_when(time.ends_at)}"),
        ]
    rows += [
        ("inflation", f"{found.inflation / _BILLION:.7%} of the supply"),
        ("mintable", f"{coins(found.mintable)} LPT"),
        (
            "minted",
            f"{coins(found.minted)} LPT" + (f" ({found.minted / found.mintable:.1%})" if found.mintable else ""),
        ),
    ]
    if found.treasury is not None:
        rows.append(("of that to the treasury", f"{coins(found.treasury)} LPT"))
    if (state := found.state) is not None:
        rows += [
            ("supply", f"{coins(state.supply)} LPT"),
            ("active stake", f"{coins(state.active_stake)} LPT, participation {state.participation / _BILLION:.2%}"),
            (
                "target",
                f"{state.target_bonding_rate / _BILLION:.2%}; inflation moves by {state.inflation_change}/10^9",
            ),
            ("pool", f"{state.pool_size} of {state.pool_max_size}"),
        ]
    else:
        rows.append(("stake and supply", "the endpoints keep no state that old; an archive endpoint does"))
    if found.address is not None:
        rows += _own(found)
    table = Table(f"round {found.round}", "", box=None)
    for name, value in rows:
        table.add_row(name, value)
    console().print(table)


def _own(found: "RoundView") -> list[tuple[str, str]]:
    from livefleet.ledger import coins

    rows = [("orchestrator", str(found.address))]
    if found.state is not None and found.state.own_stake is not None:
        active = "active" if found.state.own_active else "not active"
        rows.append(("its stake", f"{coins(found.state.own_stake)} LPT, {active}"))
    if found.own_reward:
        rows.append(
            ("its reward", f"{coins(found.own_reward)} LPT, and {coins(found.own_treasury or 0)} LPT to the treasury")
        )
    elif found.expected is not None:
        rows.append(("its reward", f"not called; about {coins(found.expected)} LPT"))
    else:
        rows.append(("its reward", "none"))
    return rows


def _text(amount: int | None) -> str | None:
    return None if amount is None else str(amount)


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
