import asyncio

import pytest

from livefleet.chain.inquiries import Inquiries
from livefleet.kernel import Address, Transient
from tests.builders.clock import HandClock

pytestmark = pytest.mark.unit


def address(number):
    return Address(f"0x{number:040x}")


class Node:
    """Answers when the test says so, and counts."""

    def __init__(self):
        self.asked = 0
        self.go = asyncio.Event()
        self.error = None

    async def read(self):
        self.asked += 1
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return self.asked


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def inquiries(clock):
    return Inquiries("senders", clock, a_second=2, burst=3, kept=4)


async def test_ask__many_at_once_for_one__the_node_is_asked_once(inquiries):
    node = Node()
    askers = [asyncio.ensure_future(inquiries.ask(address(1), node.read)) for _ in range(50)]
    await asyncio.sleep(0)
    node.go.set()
    assert set(await asyncio.gather(*askers)) == {1}
    assert await inquiries.ask(address(1), node.read) == 1
    inquiries.forget()
    assert await inquiries.ask(address(1), node.read) == 2


async def test_ask__first_asker_goes_away__another_asks_and_all_are_answered(inquiries):
    node = Node()
    first, *others = [asyncio.ensure_future(inquiries.ask(address(1), node.read)) for _ in range(4)]
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    node.go.set()
    assert await asyncio.gather(*others) == [2, 2, 2]
    assert first.cancelled()


async def test_ask__node_fails__all_hear_of_it_and_the_next_asks_anew(inquiries):
    node = Node()
    node.error = Transient("away")
    askers = [asyncio.ensure_future(inquiries.ask(address(1), node.read)) for _ in range(5)]
    await asyncio.sleep(0)
    node.go.set()
    assert all(isinstance(e, Transient) for e in await asyncio.gather(*askers, return_exceptions=True))
    assert node.asked == 1
    node.error = None
    assert await inquiries.ask(address(1), node.read) == 2


async def test_ask__more_addresses_than_allowed__are_refused_until_time_has_passed(inquiries, clock):
    node = Node()
    node.go.set()
    for number in range(3):
        await inquiries.ask(address(number), node.read)
    with pytest.raises(Transient, match="too many unknown senders at the moment"):
        await inquiries.ask(address(3), node.read)
    assert await inquiries.ask(address(0), node.read) == 1  # answered from memory
    assert await inquiries.ask(address(4), node.read, known=True) == 4  # not counted
    clock.time += 0.5
    assert await inquiries.ask(address(3), node.read) == 5
    with pytest.raises(Transient):
        await inquiries.ask(address(5), node.read)
    clock.time += 3600
    for number in range(10, 13):  # no more than the burst, however long nobody asked
        await inquiries.ask(address(number), node.read)
    with pytest.raises(Transient):
        await inquiries.ask(address(13), node.read)


async def test_ask__many_addresses__memory_is_bounded(inquiries, clock):
    node = Node()
    node.go.set()
    for number in range(100):
        clock.time += 1
        await inquiries.ask(address(number), node.read)
    assert len(inquiries._answers) == 4
    assert not inquiries._asked
