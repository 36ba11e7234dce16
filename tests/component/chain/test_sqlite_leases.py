"""What a file of one machine knows beyond the protocol: whether a lease's holder still lives."""

import asyncio
import signal
import sqlite3
import sys
from contextlib import closing

import pytest

from livefleet.chain import SqliteLeases

pytestmark = pytest.mark.component

NAME = "key 0x0000000000000000000000000000000000000001"
CHILD = """
import asyncio, sys
from pathlib import Path
from livefleet.chain import SqliteLeases

async def main():
    async with SqliteLeases(Path(sys.argv[1])) as leases:
        print(await leases.take(sys.argv[2], "child", 3600.0), flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_take__holder_was_killed__is_free_at_once_though_its_time_is_not_over(tmp_path):
    path = tmp_path / "leases.sqlite3"
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CHILD, str(path), NAME), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert (await asyncio.wait_for(child.stdout.readline(), 60)).strip() == b"True"
        async with SqliteLeases(path) as leases:
            assert not await leases.take(NAME, "other", 30.0)
            child.send_signal(signal.SIGSTOP)  # asleep is not dead
            assert not await leases.take(NAME, "other", 30.0)
            child.kill()
            await child.wait()
            assert await leases.holder(NAME) is None
            assert await leases.take(NAME, "other", 30.0)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def test_take__lease_of_an_earlier_boot__is_over(tmp_path):
    path = tmp_path / "leases.sqlite3"
    async with SqliteLeases(path) as leases:
        assert await leases.take(NAME, "one", 3600.0)
        with closing(sqlite3.connect(path)) as db:
            db.execute("UPDATE leases SET boot = 'another'")
            db.commit()
        assert await leases.take(NAME, "other", 30.0)
