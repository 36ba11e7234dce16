"""Group commit over a commit that does what the test says."""

import asyncio
from fractions import Fraction

import pytest

from livefleet.payments import StoreFailed
from livefleet.payments.records import DebitRecord, ForgetBalances, Settlement, TicketState
from livefleet.payments.write_queue import WriteQueue
from tests.component.payments.shared_payments import SESSION, a_numbered_payment

pytestmark = pytest.mark.unit

DEBIT = DebitRecord(("0x1", SESSION), Fraction(1), 0.0)


class Disk:
    """Holds each commit until it is let go; fails while it is full."""

    def __init__(self):
        self.written = []
        self.full = False
        self.go = asyncio.Event()
        self.go.set()

    async def commit(self, writes):
        await self.go.wait()
        if self.full:
            raise StoreFailed("disk full")
        self.written.append(list(writes))
        return [Fraction(len(self.written))] * len(writes)


async def turns(number=5):
    for _ in range(number):
        await asyncio.sleep(0)


async def test_writes_during_a_commit__share_the_next_in_the_order_given():
    disk = Disk()
    async with WriteQueue(disk.commit, where="here") as queue:
        disk.go.clear()
        first = queue.take(a_numbered_payment(1), lambda _: None)
        await turns()
        others = [queue.take(a_numbered_payment(n), lambda _: None) for n in (2, 3)]
        queue.later(DEBIT)
        assert len(queue) == 3
        disk.go.set()
        assert await first == 1
        assert await asyncio.gather(*others) == [2, 2]
    assert disk.written == [[a_numbered_payment(1)], [a_numbered_payment(2), a_numbered_payment(3), DEBIT]]


async def test_commit_fails__waiters_hear_it_and_what_nobody_waits_for_is_kept_in_front():
    disk, told = Disk(), []
    async with WriteQueue(disk.commit, where="here") as queue:
        disk.full = True
        payment = queue.take(a_numbered_payment(1), told.append)
        queue.later(DEBIT)
        with pytest.raises(StoreFailed, match="not written: disk full"):
            await payment
        with pytest.raises(StoreFailed):
            await queue.settle(Settlement(b"", TicketState.LOST, ""))
        assert told == [None]
        assert queue.fault == "disk full"
        disk.full = False
        assert await queue.take(a_numbered_payment(2), told.append) == 1
        assert queue.fault == ""
        assert told == [None, 1]
    assert disk.written == [[DEBIT, a_numbered_payment(2)]]


async def test_waiter_goes_away__commit_goes_on_and_done_hears_it():
    disk, told = Disk(), []
    async with WriteQueue(disk.commit, where="here") as queue:
        disk.go.clear()
        queue.take(a_numbered_payment(1), told.append).cancel()
        await turns()
        disk.go.set()
    assert told == [1]
    assert disk.written == [[a_numbered_payment(1)]]


async def test_leave__queued_is_written_and_nothing_more_is_taken():
    disk = Disk()
    async with WriteQueue(disk.commit, where="here") as queue:
        for _ in range(3):
            queue.later(ForgetBalances(()))
    assert sum(map(len, disk.written)) == 3
    with pytest.raises(StoreFailed, match="closing"):
        queue.take(a_numbered_payment(1), lambda _: None)


async def test_leave__body_raised__queued_is_written_all_the_same():
    disk = Disk()
    with pytest.raises(RuntimeError):  # noqa: PT012 -- what fails is the body
        async with WriteQueue(disk.commit, where="here") as queue:
            queue.later(DEBIT)
            raise RuntimeError
    assert disk.written == [[DEBIT]]


async def test_leave__disk_full__drops_them_and_ends():
    disk = Disk()
    async with WriteQueue(disk.commit, where="here") as queue:
        disk.full = True
        queue.later(DEBIT)
    assert disk.written == []
