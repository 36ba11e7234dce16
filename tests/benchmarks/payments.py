"""What taking tickets costs: `python -m tests.benchmarks.payments`.

Three steps, each against the one before, turn and turn about so that a busy machine is as unkind to all:
whole tickets (hash, signature, address, win check) against the bare public-key recovery that each of them needs;
payments of 1, 10 and 100 tickets from receive() to durable credit against whole tickets, sixteen gateways at a time as
they come to a node with streams (they share flushes of the disk), in tickets a second of CPU, and one at a time in
seconds of the clock, which counts the disk; and a payment as large as they get, with and without its process.
"""

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

from coincurve import PublicKey

from livefleet.chain import personal_hash, recover_address
from livefleet.kernel import SessionId
from livefleet.payments import RecoveryPool
from livefleet.payments.ticket import TicketForm, address_bytes, aux_data, is_winning
from tests.builders.pairs import Pairs, Spent
from tests.builders.payments import GATEWAY, a_desk, pay, random_of

TICKETS = 200
PAIRS = 15
GATEWAYS = 16
LARGEST = 600
MUST = {1: 0.25, 10: 0.6, 100: 0.8}


def main() -> None:
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(measure(Path(scratch)))


async def measure(scratch: Path) -> None:
    async with a_desk(scratch / "store") as (payments, _, _, _):
        await whole_against_bare(payments)
        for count in (1, 10, 100):
            await durable_against_whole(payments, count)
    async with RecoveryPool() as pool, a_desk(scratch / "pooled", recovery=pool) as (payments, _, _, _):
        await large_payments(payments, pool)


async def whole_against_bare(payments) -> None:
    payment, rand = await a_payment(payments, SessionId("bare"), TICKETS)
    form = TicketForm(payment.ticket_params, GATEWAY, aux_data(payment.expiration))
    raw = [  # prepared, so that only recovery is timed
        (t.signature[:64] + bytes([t.signature[64] - 27]), personal_hash(form.hash(t.nonce))) for t in payment.tickets
    ]
    pairs = Pairs("whole ticket over bare recovery", must=0.7, aim=0.9)
    for _ in range(PAIRS):
        with Spent() as whole:
            check_whole(payment, rand)
        with Spent() as bare:
            for signature, digest in raw:
                PublicKey.from_signature_and_message(signature, digest, hasher=None)
        pairs.add(bare.cpu_s / whole.cpu_s)
    pairs.show(f"{TICKETS / whole.cpu_s:.0f} and {TICKETS / bare.cpu_s:.0f} tickets a CPU second")


def check_whole(payment, rand: int) -> None:
    """All that a ticket's validity takes, and nothing else."""
    form = TicketForm(payment.ticket_params, GATEWAY, aux_data(payment.expiration))
    sender = address_bytes(GATEWAY)
    for signed in payment.tickets:
        assert recover_address(form.hash(signed.nonce), signed.signature) == sender
        is_winning(payment.ticket_params.win_prob, signed.signature, rand)


async def durable_against_whole(payments, count: int) -> None:
    together = Pairs(f"{count:3} tickets, {GATEWAYS} at once: durable over whole, CPU", must=MUST[count])
    alone = Pairs(f"{count:3} tickets, one payment: durable over whole, clock")
    rate = []
    for turn in range(PAIRS):
        crowd = [await a_payment(payments, SessionId(f"{count}-{turn}-{i}"), count) for i in range(GATEWAYS)]
        single, rand = await a_payment(payments, SessionId(f"{count}-{turn}-alone"), count)
        with Spent() as whole:
            for payment, its_rand in crowd:
                check_whole(payment, its_rand)
        with Spent() as taken:
            async with asyncio.TaskGroup() as tasks:
                for i, (payment, _) in enumerate(crowd):
                    tasks.create_task(payments.receive(payment, SessionId(f"{count}-{turn}-{i}")))
        together.add(whole.cpu_s / taken.cpu_s)
        rate.append(GATEWAYS * count / taken.cpu_s)
        with Spent() as whole:
            check_whole(single, rand)
        with Spent() as taken:
            await payments.receive(single, SessionId(f"{count}-{turn}-alone"))
        alone.add(whole.wall_s / taken.wall_s)
    together.show(f"{statistics.median(rate):.0f} tickets a CPU second")
    alone.show()


async def large_payments(payments, pool: RecoveryPool) -> None:
    """How long the loop has nothing for others while a payment of 600 tickets is taken, and how long that lasts."""
    first, _ = await a_payment(payments, SessionId("warm"), 101)
    await payments.receive(first, SessionId("warm"))
    while not pool.is_ready:
        await asyncio.sleep(0.01)
    busy = Pairs(f"{LARGEST} tickets: loop's CPU with a process over without")
    for turn in range(PAIRS):
        rows = {}
        for name, recovery in (("process", pool), ("loop", None)):
            payments._recovery = recovery or Nobody()
            session = SessionId(f"{name}-{turn}")
            payment, _ = await a_payment(payments, session, LARGEST)
            before = time.thread_time()
            with Spent() as spent:
                await payments.receive(payment, session)
            rows[name] = (time.thread_time() - before, spent.wall_s)
        busy.add(rows["process"][0] / rows["loop"][0])
    told = ", ".join(
        f"{name} {cpu * 1000:.1f} ms of the loop in {wall * 1000:.1f} ms" for name, (cpu, wall) in rows.items()
    )
    busy.show(f"last: {told}")


class Nobody:
    async def recover(self, signed):
        return None


async def a_payment(payments, session: SessionId, count: int):
    quote = await payments.quote(GATEWAY, session=session)
    return pay(quote, range(1, count + 1)), random_of(payments, quote)


if __name__ == "__main__":
    main()
