"""What taking tickets costs: `python -m tests.benchmarks.payments`.

Whole tickets (hash, signature, win check) against the bare public-key recovery that each of them needs, and payments
of 1, 10 and 100 tickets from receive() to durable credit, with the same done without the disk flush beside it. Turn
and turn about, so that a busy machine is as unkind to all.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from coincurve import PublicKey

from livefleet.chain import personal_hash
from livefleet.kernel import SessionId
from tests.builders.payments import GATEWAY, a_desk, a_ticket, a_winner, pay

TICKETS = 200
ROUNDS = 15
PAYMENTS = 20


def main() -> None:
    tickets_against_recovery()
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(payments_to_durable_credit(Path(scratch)))


def tickets_against_recovery() -> None:
    winners = [a_winner(a_ticket(sender_nonce=nonce)) for nonce in range(1, TICKETS + 1)]
    raw = [
        (w.signature[:64] + bytes([w.signature[64] - 27]), personal_hash(w.ticket.hash)) for w in winners
    ]  # prepared, so that only recovery is timed
    whole_s, bare_s = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for winner in winners:
            assert winner.ticket.is_signed(winner.signature)
            assert winner.ticket.is_winning(winner.signature, winner.recipient_rand)
        whole_s.append(time.perf_counter() - began)
        began = time.perf_counter()
        for signature, digest in raw:
            PublicKey.from_signature_and_message(signature, digest, hasher=None)
        bare_s.append(time.perf_counter() - began)
    whole, bare = TICKETS / statistics.median(whole_s), TICKETS / statistics.median(bare_s)
    print(f"whole tickets {whole:8.0f} /s   bare recover {bare:8.0f} /s   ratio {whole / bare:.2f}")


async def payments_to_durable_credit(scratch: Path) -> None:
    async with a_desk(scratch / "durable") as (durable, _, _, _), a_desk(scratch / "unflushed") as (loose, store, _, _):
        store._file._db.execute("PRAGMA synchronous=OFF")
        for count in (1, 10, 100):
            timed: dict[str, list[float]] = {"durable": [], "unflushed": []}
            for turn in range(PAYMENTS):
                for name, payments in (("durable", durable), ("unflushed", loose)):
                    session = SessionId(f"{count}-{turn}")
                    payment = pay(await payments.quote(GATEWAY, session=session), range(1, count + 1))
                    began = time.perf_counter()
                    await payments.receive(payment, session)
                    timed[name].append(time.perf_counter() - began)
            a, b = (statistics.median(timed[name]) * 1000 for name in ("durable", "unflushed"))
            print(
                f"payment of {count:3} tickets: {a:7.2f} ms to durable credit ({count / a * 1000:6.0f} tickets/s), "
                f"{b:7.2f} ms without flush, ratio {a / b:.2f}"
            )
        payments = [pay(await durable.quote(GATEWAY), [1]) for _ in range(PAYMENTS)]
        began = time.perf_counter()
        for turn, payment in enumerate(payments):
            await durable.receive(payment, SessionId(f"one-{turn}"))
        apart = time.perf_counter() - began
        payments = [pay(await durable.quote(GATEWAY), [1]) for _ in range(PAYMENTS)]
        began = time.perf_counter()
        await asyncio.gather(*(durable.receive(p, SessionId(f"all-{turn}")) for turn, p in enumerate(payments)))
        together = time.perf_counter() - began
        print(f"{PAYMENTS} payments of 1 ticket: {apart * 1000:.1f} ms apart, {together * 1000:.1f} ms together, "
              f"ratio {together / apart:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
