import pytest

from livefleet.payments import SqliteStore
from tests.builders.redeeming import ToldRedeeming


@pytest.fixture
async def bench(tmp_path):
    async with SqliteStore(tmp_path / "s") as store:
        yield ToldRedeeming(store, tmp_path / "s")
