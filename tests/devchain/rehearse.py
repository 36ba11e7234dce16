"""`python -m tests.devchain.rehearse`: a chain with an active orchestrator and a funded gateway, in any network.

For whoever cannot call the Python interface in the network where the chain has to live, such as a namespace of its own.
"""

import asyncio
from pathlib import Path

import click

from livefleet.cli.output import print_json
from livefleet.kernel import Wei
from tests.devchain.accounts import dev_secret, dev_signer
from tests.devchain.chain import Devchain


@click.command()
@click.option("--dir", "folder", type=click.Path(path_type=Path), required=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the chain listens.")
@click.option("--service-uri", required=True)
@click.option("--orchestrator", type=click.IntRange(1, 8), default=1, show_default=True, help="Test account.")
@click.option("--gateway", type=click.IntRange(1, 8), default=4, show_default=True, help="Test account.")
@click.option("--round-length", default=200, show_default=True)
def main(folder: Path, host: str, service_uri: str, orchestrator: int, gateway: int, round_length: int) -> None:
    """Start the chain, stake, register and fund; write the two test-only keys beside it; print where everything is."""
    print_json(asyncio.run(_prepare(folder, host, service_uri, orchestrator, gateway, round_length)))


async def _prepare(
    folder: Path, host: str, service_uri: str, orchestrator: int, gateway: int, round_length: int
) -> dict[str, object]:
    async with await Devchain.up(folder, host=host, round_length=round_length) as chain:
        keys = {}
        for name, account in (("orchestrator", orchestrator), ("gateway", gateway)):
            keys[name] = folder / f"{name}.hex"
            keys[name].touch(mode=0o600)
            keys[name].write_text(dev_secret(account).hex() + "\n")
        signer = dev_signer(orchestrator)
        if not await chain.client.bonding.is_registered(signer.address):
            await chain.activate_orchestrator(signer, service_uri=service_uri)
            await chain.fund_gateway(dev_signer(gateway).address, deposit=Wei(10**18), reserve=Wei(10**18))
        return {
            "rpc": chain.info.rpc,
            "chain_id": chain.info.chain_id,
            "controller": chain.info.controller,
            "orchestrator": signer.address,
            "gateway": dev_signer(gateway).address,
            "keys": {name: str(path) for name, path in keys.items()},
        }


if __name__ == "__main__":
    main()
