"""`livefleet devchain`: the local chain of the checkout, by hand."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from livefleet.cli.devchain_acts import ACTS
from livefleet.cli.devchain_link import AS_JSON, FOLDER, from_checkout, on_chain, run, show
from livefleet.cli.output import print_json
from livefleet.kernel import BadInput

__all__ = ["command"]


@click.group()
def command() -> None:
    """A local chain with the protocol's contracts, for trying things out.

    Its accounts are the ten of the public test mnemonic: TEST-ONLY keys.
    """


@command.command()
@FOLDER
@click.option("--port", default=0, show_default=True, help="Loopback port; 0 takes a free one.")
@click.option("--round-length", default=50, show_default=True, help="Blocks in a round.")
@click.option("--block-time", default=0.0, show_default=True, help="Seconds between blocks; 0: one a transaction.")
@click.option(
    "--protocol",
    type=click.Choice(["live", "2024"]),
    default="live",
    show_default=True,
    help="Whose rules: those of Arbitrum One, or those before LIP-118.",
)
@AS_JSON
def up(folder: Path, port: int, round_length: int, block_time: float, protocol: str, *, as_json: bool) -> None:
    """Start a chain and deploy the protocol; attaches to one that runs there already."""
    devchain = from_checkout("chain")
    if round_length < 2 * devchain.ACTIVATION_BLOCKS:
        raise BadInput(f"--round-length {round_length}: give at least {2 * devchain.ACTIVATION_BLOCKS}")

    async def start() -> Any:
        handle = await devchain.Devchain.up(
            folder,
            port=port,
            round_length=round_length,
            block_time_s=block_time,
            protocol=devchain.ProtocolVersion(protocol),
        )
        async with handle:
            return handle.info

    info = run(start())
    if as_json:
        print_json(asdict(info))
        return
    click.echo(f"The local chain runs; its log is {folder / 'anvil.log'}. In a fleet spec:\n")
    click.echo(f"network:\n  name: devchain\n  controller: '{info.controller}'\n  rpc: [{info.rpc}]")


@command.command()
@FOLDER
@AS_JSON
def down(folder: Path, *, as_json: bool) -> None:
    """End the chain that was started in the folder."""
    ended = run(from_checkout("chain").Devchain.down(folder))
    if as_json:
        print_json({"ended": ended})
    else:
        click.echo("ended" if ended else f"no local chain runs in {folder}")


@command.command()
@FOLDER
@AS_JSON
def status(folder: Path, *, as_json: bool) -> None:
    """Say where the chain is and which round it counts."""

    async def look(chain: Any) -> dict[str, Any]:
        rounds = chain.client.rounds
        return asdict(chain.info) | {
            "block": await rounds.block_num(),
            "round": await rounds.current_round(),
            "round_initialized": await rounds.current_round_initialized(),
            "orchestrators": await chain.client.bonding.pool_size(),
        }

    show(on_chain(folder, look), as_json=as_json)


@command.command()
@click.argument("blocks", type=click.IntRange(min=1))
@FOLDER
@AS_JSON
def mine(blocks: int, folder: Path, *, as_json: bool) -> None:
    """Mine BLOCKS blocks, which count as L1 blocks."""

    async def go(chain: Any) -> dict[str, Any]:
        await chain.mine(blocks)
        return {"block": await chain.client.rounds.block_num()}

    show(on_chain(folder, go), as_json=as_json)


@command.command("round")
@click.option("--initialize/--no-initialize", default=True, show_default=True, help="Initialise it as well.")
@FOLDER
@AS_JSON
def next_round(folder: Path, *, initialize: bool, as_json: bool) -> None:
    """Go to the next round."""

    async def go(chain: Any) -> dict[str, Any]:
        return {"round": await chain.next_round(initialize=initialize)}

    show(on_chain(folder, go), as_json=as_json)


for act in ACTS:
    command.add_command(act)
