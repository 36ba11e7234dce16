"""Models' accounts in a real file: over restarts, a kill, and a file that cannot be read or written."""

import asyncio
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from fractions import Fraction

import pytest

from livefleet.kernel import OutsideWorld, SystemClock
from livefleet.payments import OTHER_MODELS, WORKERS, ModelAccounts, ModelIncome, model_accounts
from tests.builders.clock import HandClock

pytestmark = pytest.mark.component

MODEL = ("llm", "owner/model")
DEAR = Fraction(10, 7)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "accounts.sqlite"


def a_book(path, clock=None, **parts):
    clock = clock or HandClock()
    return ModelAccounts(path, clock=clock, monotonic=clock.monotonic, **parts)


async def test_income_and_times__are_the_same_after_a_restart_and_go_on(path):
    clock = HandClock()
    for _ in range(2):
        async with a_book(path, clock, power_of=lambda _: 50.0) as book:
            book.charge(*MODEL, units=3, fee=3 * DEAR)
            with book.busy(*MODEL, "GPU-1", is_here=True):
                clock.time += 2
            with book.busy(*MODEL, WORKERS, is_here=False):
                clock.time += 1
    async with a_book(path, clock) as book:
        assert book.since == HandClock().time
        (account,) = book.snapshot()
    assert account.income == ModelIncome(jobs=2, units=6, charged=6 * DEAR)
    assert {device: (use.seconds, use.joules) for device, use in account.devices.items()} == {
        "GPU-1": (4, 200), WORKERS: (2, None),
    }  # fmt: skip
    assert account.wei_per_device_s == 1  # 60/7 wei in 6 s
    assert account.workers_s is None  # of this life
    assert path.stat().st_mode & 0o777 == 0o600


async def test_times_of_workers_jobs__are_of_those_that_were_answered(path):
    clock = HandClock()
    async with a_book(path, clock) as book:
        for seconds in range(1, 21):
            with book.busy(*MODEL, WORKERS, is_here=False):
                clock.time += seconds
        with suppress(OutsideWorld), book.busy(*MODEL, WORKERS, is_here=False):
            clock.time += 1000
            raise OutsideWorld("the worker is lost")
        (account,) = book.snapshot()
    assert account.workers_s == (10, 19)


async def test_a_job_under_way__is_in_the_picture(path):
    clock = HandClock()
    async with a_book(path, clock) as book:
        with book.busy(*MODEL, "cpu", is_here=True):
            clock.time += 9
            (account,) = book.snapshot()
    assert (account.device_s, account.income, account.wei_per_device_s) == (9, None, None)


async def test_killed__what_was_charged_before_is_there(path):
    child = textwrap.dedent(f"""
        import asyncio
        from fractions import Fraction
        from pathlib import Path
        from livefleet.kernel import SystemClock
        from livefleet.payments import ModelAccounts
        async def main():
            async with ModelAccounts(Path({str(path)!r}), clock=SystemClock()) as book:
                for n in range(100):
                    book.charge("llm", "owner/model", units=1, fee=Fraction(1, 3))
                await asyncio.sleep(0.5)
                print("charged", flush=True)
                await asyncio.sleep(60)
        asyncio.run(main())
    """)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", child, stdout=subprocess.PIPE)
    assert await process.stdout.readline() == b"charged\n"
    process.kill()
    await process.wait()
    async with a_book(path) as book:
        (account,) = book.snapshot()
    assert account.income == ModelIncome(100, 100, Fraction(100, 3))


async def test_a_file_that_is_no_database__is_set_aside_and_a_new_book_begun(path):
    path.parent.mkdir()
    path.write_bytes(b"not a database, and of some length" * 100)
    async with a_book(path) as book:
        book.charge(*MODEL, units=1, fee=DEAR)
    async with a_book(path) as book:
        assert book.snapshot()[0].income.charged == DEAR
    (aside,) = path.parent.glob("*.unreadable-*")
    assert aside.read_bytes().startswith(b"not a database")


async def test_a_file_that_cannot_be_written__is_said__and_written_when_it_can(path):
    async with ModelAccounts(path, clock=SystemClock(), every_s=0.05) as book:
        with sqlite3.connect(path, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            book.charge(*MODEL, units=1, fee=DEAR)
            await until(lambda: "locked" in book.fault)
            other.execute("ROLLBACK")
        other.close()
        await until(lambda: not book.fault)
        with sqlite3.connect(path) as reader:
            assert reader.execute("SELECT charged FROM income").fetchall() == [("10/7",)]
        reader.close()


async def test_more_models_than_are_told_apart__are_summed(path, monkeypatch):
    monkeypatch.setattr(model_accounts, "_LIMIT", 2)
    async with a_book(path) as book:
        for name in "abcde":
            book.charge("llm", name, units=1, fee=Fraction(1))
        found = {account.model_id: account.income.charged for account in book.snapshot()}
    assert found == {"a": 1, "b": 1, OTHER_MODELS: 3}


async def test_prices_of_many_denominators__keep_a_sum_of_bounded_length(path):
    async with a_book(path) as book:
        exact = Fraction(0)
        for n in range(1, 400):
            fee = Fraction(10**9, 2 * n + 1)
            exact += fee
            book.charge(*MODEL, units=1, fee=fee)
        (account,) = book.snapshot()
    assert account.income.charged.denominator.bit_length() <= 256
    assert exact - Fraction(400, 2**64) <= account.income.charged <= exact


async def until(holds, timeout_s=10):
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
