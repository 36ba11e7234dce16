"""One story of payments and redemptions, killed at each of its durable points in turn. Run: crash_child.py FOLDER

A point is a moment just before or just after something that lasts: an SQL statement of the store, a redemption's
arrival on the chain. For point 0, 1, 2, ... a fork of this process plays the story in FOLDER/<point> and kills itself
there; the last one finds no such point and ends well. What gateways were told stands in FOLDER/<point>/told.
"""

import asyncio
import os
import signal
import sys
from itertools import count
from pathlib import Path

from livefleet.chain import Reverted
from livefleet.kernel import BlockNumber, SessionId, Wei
from livefleet.payments import Mined, Redeemer, Redemption, Trial
from livefleet.spec import TicketSettings
from tests.builders.clock import HandClock
from tests.builders.payments import GATEWAY, ToldChain, a_desk, a_head, pay
from tests.builders.redeeming import ToldBroker

EVEN_ODDS = TicketSettings(expected_value=6 * 10**15)
SESSIONS = (SessionId("aaaaaaaa"), SessionId("aaaaaaaa"), SessionId("bbbbbbbb"))
TICKETS = (3, 2, 4)
DEBITS = (1000, 500)  # units, both of the first session
EXPIRED = BlockNumber(a_head().l1_block + 100)


class Points:
    """Counts durable points; at the chosen one the process is gone."""

    def __init__(self, last=None):
        self.seen = 0
        self.last = last

    def pass_one(self):
        if self.seen == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        self.seen += 1


class Watched:
    """An SQLite connection with a point on either side of each statement."""

    def __init__(self, db, points):
        self._db = db
        self._points = points

    def __getattr__(self, name):
        return getattr(self._db, name)

    def execute(self, *args):
        self._points.pass_one()
        result = self._db.execute(*args)
        self._points.pass_one()
        return result

    def executemany(self, *args):
        self._points.pass_one()
        result = self._db.executemany(*args)
        self._points.pass_one()
        return result


class Ledger(ToldBroker):
    """A RedemptionChain whose used tickets are lines of a file: like the contract, it outlives the agent."""

    def __init__(self, path, points):
        super().__init__()
        self._path = path
        self._points = points

    def lines(self):
        return self._path.read_text().split() if self._path.exists() else []

    async def is_used(self, ticket_hash):
        return ticket_hash.hex() in self.lines()

    def _trial(self, winner):
        return Trial(refusal="ticket is used") if winner.ticket.hash.hex() in self.lines() else Trial(gas=200_000)

    async def redeem(self, winners, *, gas, limit):
        if {winner.ticket.hash.hex() for winner in winners} & set(self.lines()):
            raise Reverted("ticket is used")
        self._points.pass_one()
        append(self._path, "\n".join(winner.ticket.hash.hex() for winner in winners))
        self._points.pass_one()
        return Mined(b"\x01" * 32, 200_000, Wei(0), {w.ticket.hash: w.ticket.face_value for w in winners})

    async def earlier(self, winner):
        return Redemption(b"\x01" * 32, winner.ticket.face_value)


def append(path, line):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(fd, line.encode() + b"\n")
    os.close(fd)


async def the_payments(payments):
    """The same whenever they are asked for first: secret and seeds are the builders' own."""
    quotes = [await payments.quote(GATEWAY) for _ in TICKETS]
    return [pay(quote, range(1, number + 1)) for quote, number in zip(quotes, TICKETS, strict=True)]


def a_redeemer(store, chain, monitor, ledger):
    return Redeemer(store, chain, ledger, monitor, clock=HandClock())


async def story(folder, points):
    chain, told = ToldChain(), folder / "told"
    async with a_desk(folder / "store", chain=chain, ticket=EVEN_ODDS) as (payments, store, _, monitor):
        wanted = await the_payments(payments)
        store._file._db = Watched(store._file._db, points)

        async def receive(index):
            await payments.receive(wanted[index], SESSIONS[index])
            append(told, f"accepted {index}")

        await receive(0)
        payments.debit(wanted[0], SESSIONS[0], DEBITS[0])
        await asyncio.gather(receive(1), receive(2))
        payments.debit(wanted[1], SESSIONS[1], DEBITS[1])
        chain.move(l1_block=EXPIRED)
        payments.clean()
        async with a_redeemer(store, chain, monitor, Ledger(folder / "ledger", points)) as redeemer:
            await redeemer.run_once()
        append(told, "redeemed all")


def main(folder: Path) -> None:
    for point in count():
        place = folder / str(point)
        place.mkdir()
        child = os.fork()
        if child == 0:
            asyncio.run(story(place, Points(point)))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            sys.exit(os.WEXITSTATUS(status))
        assert os.WTERMSIG(status) == signal.SIGKILL


if __name__ == "__main__":
    main(Path(sys.argv[1]))
