"""`livefleet devchain`: the local chain of the checkout, by hand."""

import asyncio
import importlib
import sys
from collections.abc import Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from livefleet.cli.output import print_json
from livefleet.kernel import BadInput

__all__ = ["command"]

T = TypeVar("T")

_DIR = click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".livefleet/devchain"),
    show_default=True,
    help="Where the chain keeps devchain.json and its log.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """A local chain with the protocol's contracts, for trying things out.

    Its accounts are the ten of the public test mnemonic: TEST-ONLY keys.
    """


@command.command()
@_DIR
@click.option("--port", default=0, show_default=True, help="Loopback port; 0 takes a free one.")
@click.option("--round-length", default=50, show_default=True, help="Blocks in a round.")
@click.option("--block-time", default=0.0, show_default=True, help="Seconds between blocks; 0: one a transaction.")
@_JSON
def up(folder: Path, port: int, round_length: int, block_time: float, as_json: bool) -> None:
    """Start a chain and deploy the protocol; attaches to one that runs there already."""
    devchain = _devchain()
    if round_length < 2 * devchain.ACTIVATION_BLOCKS:
        raise BadInput(f"--round-length {round_length}: give at least {2 * devchain.ACTIVATION_BLOCKS}")

    async def run() -> Any:
        handle = await devchain.Devchain.up(folder, port=port, round_length=round_length, block_time_s=block_time)
        async with handle:
            return handle.info

    info = _run(run())
    if as_json:
        print_json(asdict(info))
        return
    click.echo(f"The local chain runs; its log is {folder / 'anvil.log'}. In a fleet spec:\n")
    click.echo(f"network:\n  name: devchain\n  controller: '{info.controller}'\n  rpc: [{info.rpc}]")


@command.command()
@_DIR
@_JSON
def down(folder: Path, as_json: bool) -> None:
    """End the chain that was started in the folder."""
    ended = _run(_devchain().Devchain.down(folder))
    if as_json:
        print_json({"ended": ended})
    else:
        click.echo("ended" if ended else f"no local chain runs in {folder}")


@command.command()
@_DIR
@_JSON
def status(folder: Path, as_json: bool) -> None:
    """Say where the chain is and which round it counts."""

    async def run() -> dict[str, Any]:
        async with await _devchain().Devchain.attach(folder) as chain:
            rounds = chain.client.rounds
            return asdict(chain.info) | {
                "block": await rounds.block_num(),
                "round": await rounds.current_round(),
                "round_initialized": await rounds.current_round_initialized(),
                "orchestrators": await chain.client.bonding.pool_size(),
            }

    _show(_run(run()), as_json=as_json)


@command.command()
@click.argument("blocks", type=click.IntRange(min=1))
@_DIR
@_JSON
def mine(blocks: int, folder: Path, as_json: bool) -> None:
    """Mine BLOCKS blocks, which count as L1 blocks."""

    async def run() -> dict[str, Any]:
        async with await _devchain().Devchain.attach(folder) as chain:
            await chain.mine(blocks)
            return {"block": await chain.client.rounds.block_num()}

    _show(_run(run()), as_json=as_json)


@command.command("round")
@click.option("--initialize/--no-initialize", default=True, show_default=True, help="Initialise it as well.")
@_DIR
@_JSON
def next_round(initialize: bool, folder: Path, as_json: bool) -> None:
    """Go to the next round."""

    async def run() -> dict[str, Any]:
        async with await _devchain().Devchain.attach(folder) as chain:
            return {"round": await chain.next_round(initialize=initialize)}

    _show(_run(run()), as_json=as_json)


def _show(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        click.echo(f"{name:20} {value}")


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def _devchain() -> Any:
    """The chain's own code, which lives in the checkout beside the tests and is no part of what lands on hosts."""
    root = Path(__file__).resolve().parents[3]
    if not (root / "tests" / "devchain" / "chain.py").is_file():
        raise BadInput(
            "the local chain lives in the project's checkout; run this from an environment made by ./run setup"
        )
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return importlib.import_module("tests.devchain.chain")
