"""What duties rely on Leases for: every store under one test."""

import asyncio

import pytest

from livefleet.chain import Postgres, PostgresLeases, SqliteLeases

pytestmark = pytest.mark.contract

NAME = "reward 0x0000000000000000000000000000000000000001"


@pytest.fixture(params=["sqlite", "postgresql"])
async def two_leases(request, tmp_path):
    """Two handles on one store."""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").database()
        async with (
            Postgres(url, tls=None) as here,
            Postgres(url, tls=None) as there,
            PostgresLeases(here) as one,
            PostgresLeases(there) as other,
        ):
            yield one, other
        return
    path = tmp_path / "state" / "leases.sqlite3"
    async with SqliteLeases(path) as one, SqliteLeases(path) as other:
        yield one, other


async def test_take__free__is_held_and_renewed_and_refused_to_others(two_leases):
    one, other = two_leases
    assert await one.holder(NAME) is None
    assert await one.take(NAME, "one", 30.0)
    assert await one.take(NAME, "one", 30.0)
    assert not await other.take(NAME, "other", 30.0)
    assert await other.take("another name", "other", 30.0)
    held = await other.holder(NAME)
    assert held is not None
    assert held.holder == "one"
    assert 25.0 < held.left_s <= 30.0


async def test_take__many_at_once__exactly_one_wins(two_leases):
    tries = [leases.take(NAME, f"{index} {n}", 30.0) for index, leases in enumerate(two_leases) for n in range(5)]
    assert sum(await asyncio.gather(*tries)) == 1


async def test_take__run_out__goes_to_the_next(two_leases):
    one, other = two_leases
    assert await one.take(NAME, "one", 0.3)
    assert not await other.take(NAME, "other", 30.0)
    await asyncio.sleep(0.35)
    assert await other.holder(NAME) is None
    assert await other.take(NAME, "other", 30.0)
    assert not await one.take(NAME, "one", 30.0)


async def test_take__renewed__lasts_from_the_renewal_on(two_leases):
    one, other = two_leases
    assert await one.take(NAME, "one", 0.3)
    assert await one.take(NAME, "one", 30.0)
    await asyncio.sleep(0.35)
    assert not await other.take(NAME, "other", 30.0)


async def test_release__by_its_holder_only__frees_it_at_once(two_leases):
    one, other = two_leases
    assert await one.take(NAME, "one", 30.0)
    await other.release(NAME, "other")
    assert not await other.take(NAME, "other", 30.0)
    await one.release(NAME, "one")
    assert await other.take(NAME, "other", 30.0)
    await one.release("never taken", "one")
