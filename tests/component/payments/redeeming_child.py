"""A redeemer to be killed: sends what a store holds on a local chain, says so, and waits. Run: ... CHAIN FOLDER"""

import asyncio
import sys
from pathlib import Path

from tests.builders.redeeming import LocalRedeeming, until_sent
from tests.devchain.accounts import dev_signer
from tests.devchain.chain import Devchain


async def main(chain: Path, folder: Path) -> None:
    async with (
        await Devchain.attach(chain) as devchain,
        LocalRedeeming(devchain, folder, dev_signer(1).address) as local,
    ):
        await local.redeemer.look()
        await until_sent(local.transactions)
        print("sent", flush=True)
        await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(*map(Path, sys.argv[1:])))
