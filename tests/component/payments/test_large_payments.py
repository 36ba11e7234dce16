"""Large payments are checked by a process beside the agent: same answers, a free loop, nothing lost with it."""

import asyncio
import itertools
import os
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from livefleet.chain import recover_address
from livefleet.kernel import BlockNumber, Refused, SessionId
from livefleet.payments import RecoveryPool, SenderSignature, receipt
from livefleet.payments.nonces import MAX_NONCES
from livefleet.payments.receipt import LARGE, TICKETS_A_TURN
from livefleet.spec import TicketSettings
from tests.builders.clock import HandClock
from tests.builders.payments import GATEWAY, a_desk, a_ticket, a_winner, pay

pytestmark = pytest.mark.component

SESSION = SessionId("aabbccdd")
EVEN_ODDS = TicketSettings(expected_value=6 * 10**15)
ROOT = Path(__file__).parents[3]
WAIT_S = 60


async def until(condition):
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def a_ready_pool(**settings):
    """Patient: this machine may be busy with other tests."""
    async with RecoveryPool(**{"processes": 1, "answer_s": 30, **settings}) as pool:
        assert await pool.recover([]) is None
        await until(lambda: pool.is_ready)
        yield pool


@pytest.fixture
async def pool():
    async with a_ready_pool() as ready:
        yield ready


def some_signed(count):
    winners = [a_winner(a_ticket(sender_nonce=nonce)) for nonce in range(1, count + 1)]
    return [(winner.ticket.hash, winner.signature) for winner in winners]


def is_alive(pid):
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# The process -----------------------------------------------------------------------------------------


async def test_pool__good_and_broken_signatures__answers_as_the_agent_itself_would(pool):
    signed = some_signed(4)
    digest, good = signed[0]
    signed += [
        (digest, bytes(65)),
        (digest, good[:64] + b"\x00"),
        (digest, good[:64] + bytes([55 - good[64]])),  # the other v: somebody else's
        (digest, good[:32] + b"\xff" * 32 + good[64:]),  # s above half of the order
        (digest, b"\xff" * 32 + good[32:]),  # r that is no field element
    ]

    assert await pool.recover(signed) == [recover_address(*pair) for pair in signed]


async def test_pool__nobody_asked__there_is_no_process():
    async with RecoveryPool() as pool:
        assert pool.pids == ()


async def test_pool__first_ask__is_told_to_do_it_itself_and_starts_a_process():
    async with RecoveryPool(processes=1) as pool:
        assert await pool.recover(some_signed(1)) is None
        await until(lambda: pool.is_ready)
        assert len(pool.pids) == 1


async def test_pool__not_asked_for_a_while__process_goes_and_comes_again():
    async with a_ready_pool(idle_s=0.1) as pool:
        await until(lambda: not pool.is_ready and not pool.pids)
        await until(lambda: not pool._tasks)
        assert await pool.recover(some_signed(1)) is None
        await until(lambda: pool.is_ready)


async def test_pool__process_killed_under_work__askers_do_it_themselves_and_another_comes():
    clock = HandClock()
    async with a_ready_pool(clock=clock) as pool:
        os.kill(pool.pids[0], signal.SIGSTOP)
        asked = [asyncio.ensure_future(pool.recover(some_signed(2))) for _ in range(3)]
        await asyncio.sleep(0)
        os.kill(pool.pids[0], signal.SIGKILL)
        async with asyncio.timeout(WAIT_S):
            assert await asyncio.gather(*asked) == [None, None, None]
        await until(lambda: not pool.pids and not pool._tasks)

        assert await pool.recover(some_signed(1)) is None  # rests
        assert pool.pids == ()
        clock.time += 100
        assert await pool.recover(some_signed(1)) is None
        await until(lambda: pool.is_ready)
        signed = some_signed(1)
        assert await pool.recover(signed) == [recover_address(*signed[0])]


async def test_pool__process_hangs__is_killed_and_the_asker_does_it_himself():
    async with a_ready_pool(answer_s=0.3) as pool:
        (pid,) = pool.pids
        os.kill(pid, signal.SIGSTOP)
        async with asyncio.timeout(WAIT_S):
            assert await pool.recover(some_signed(1)) is None
        await until(lambda: not is_alive(pid))


@pytest.mark.parametrize("text", ["import sys; sys.exit(3)", "import os; os.write(0, b'?')", "this is no program"])
async def test_pool__process_that_cannot_start__costs_nobody_his_payment(tmp_path, text):
    program = tmp_path / "broken.py"
    program.write_text(text)
    async with RecoveryPool(processes=1, program=program) as pool:
        assert await pool.recover(some_signed(1)) is None
        await until(lambda: not pool._tasks)
        assert pool._resting_until
        assert await pool.recover(some_signed(1)) is None
        assert not pool.is_ready


async def test_pool__asker_goes_away__others_are_answered(pool):
    signed = some_signed(3)
    gone = asyncio.ensure_future(pool.recover(signed))
    kept = asyncio.ensure_future(pool.recover(signed[:1]))
    await asyncio.sleep(0)
    gone.cancel()
    assert await kept == [recover_address(*signed[0])]


async def test_pool__left__process_is_gone_and_waiting_askers_hear_of_it():
    async with a_ready_pool() as pool:
        (pid,) = pool.pids
        os.kill(pid, signal.SIGSTOP)
        asked = [asyncio.ensure_future(pool.recover(some_signed(1))) for _ in range(2)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*asked) == [None, None]
    assert not is_alive(pid)


async def test_process__knows_no_secret_of_the_agent(monkeypatch):
    monkeypatch.setenv("LIVEFLEET_SECRET_THING", "test-only")
    async with a_ready_pool() as pool:
        folder = Path("/proc") / str(pool.pids[0])
        names = {entry.split(b"=")[0].decode() for entry in (folder / "environ").read_bytes().split(b"\0")}
        assert "LIVEFLEET_SECRET_THING" not in names
        assert "test-only" not in (folder / "cmdline").read_text()
        assert int((folder / "limits").read_text().split("Max core file size")[1].split()[0]) == 0


async def test_process__agent_killed__ends_with_it():
    text = (
        "import asyncio\n"
        "from livefleet.payments import RecoveryPool\n"
        "async def main():\n"
        "    async with RecoveryPool(processes=1) as pool:\n"
        "        await pool.recover([])\n"
        "        while not pool.is_ready:\n"
        "            await asyncio.sleep(0.01)\n"
        "        print(pool.pids[0], flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    agent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", text),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    async with asyncio.timeout(WAIT_S):
        pid = int(await agent.stdout.readline())
    assert is_alive(pid)
    agent.kill()
    await agent.wait()
    await until(lambda: not is_alive(pid))


# Payments --------------------------------------------------------------------------------------------


class Counting:
    """Signatures that the agent checks itself."""

    def __init__(self, monkeypatch):
        self.inline = 0
        monkeypatch.setattr(receipt, "recover_address", self.recover)

    def recover(self, message, signature):
        self.inline += 1
        return recover_address(message, signature)


async def test_receive__payment_of_the_largest_size__loop_checks_none_of_its_signatures(tmp_path, pool, monkeypatch):
    counting = Counting(monkeypatch)
    async with a_desk(tmp_path / "s", recovery=pool) as (payments, _, _, _):
        payment = pay(await payments.quote(GATEWAY, session=SESSION), range(1, MAX_NONCES + 1))
        await payments.receive(payment, SESSION)
        assert counting.inline == 0
        assert payments.snapshot().received.count == MAX_NONCES


async def test_receive__usual_payment__is_checked_on_the_spot(tmp_path, pool, monkeypatch):
    counting = Counting(monkeypatch)
    async with a_desk(tmp_path / "s", recovery=pool) as (payments, _, _, _):
        await payments.receive(pay(await payments.quote(GATEWAY), range(1, LARGE + 1)), SESSION)
        assert counting.inline == LARGE


async def test_receive__large_payment_without_a_process__others_get_the_loop_every_sixteen_tickets(
    tmp_path, monkeypatch
):
    counting = Counting(monkeypatch)
    async with a_desk(tmp_path / "s") as (payments, _, _, _):
        payment = pay(await payments.quote(GATEWAY, session=SESSION), range(1, MAX_NONCES + 1))
        seen = []

        async def somebody_else():
            while True:
                seen.append(counting.inline)
                await asyncio.sleep(0)

        other = asyncio.ensure_future(somebody_else())
        await payments.receive(payment, SESSION)
        other.cancel()
    assert counting.inline == MAX_NONCES
    assert max(after - before for before, after in itertools.pairwise(seen)) == TICKETS_A_TURN


@pytest.mark.parametrize("how", ["before", "stopped"])
async def test_receive__process_dies_or_hangs__payment_is_credited_all_the_same(tmp_path, how):
    async with (
        a_ready_pool(answer_s=0.3) as pool,
        a_desk(tmp_path / "s", recovery=pool) as (payments, _, _, _),
    ):
        payment = pay(await payments.quote(GATEWAY, session=SESSION), range(1, MAX_NONCES + 1))
        os.kill(pool.pids[0], signal.SIGKILL if how == "before" else signal.SIGSTOP)
        async with asyncio.timeout(WAIT_S):
            await payments.receive(payment, SESSION)
        assert payments.snapshot().received.count == MAX_NONCES


def broken(payment, *, signature_at=(), twice_at=()):
    """The payment with some tickets spoilt."""
    tickets = list(payment.tickets)
    for index in signature_at:
        tickets[index] = SenderSignature(tickets[index].nonce, tickets[index].signature[:10])
    for index in twice_at:
        tickets[index] = tickets[index - 1]
    return replace(payment, tickets=tuple(tickets))


async def outcome_of(path, spoil, recovery, *, expired=False):
    """What a payment of 130 tickets comes to: the text, what is credited, which winners are kept."""
    async with a_desk(path, ticket=EVEN_ODDS, recovery=recovery) as (payments, store, chain, _):
        payment = spoil(pay(await payments.quote(GATEWAY, session=SESSION), range(1, 131)))
        if expired:
            chain.move(l1_block=BlockNumber(chain.now.l1_block + 50))
        text = ""
        try:
            await payments.receive(payment, SESSION)
        except Refused as error:
            text = error.text
        won = {stored.winner.ticket.sender_nonce for stored in await store.pending()}
        return text, payments.snapshot().received.count, won


@pytest.mark.parametrize(
    ("spoil", "credited", "text"),
    [
        (lambda payment: payment, 130, ""),
        (lambda p: broken(p, signature_at=[40]), 40, "invalid ticket signature"),
        (
            lambda p: broken(p, twice_at=[129]),
            129,
            f"invalid ticket senderNonce: already seen sender={GATEWAY} nonce=129",
        ),
        (lambda p: broken(p, signature_at=[128], twice_at=[7]), 7, "invalid ticket signature"),
    ],
    ids=["good", "signature in the middle", "nonce twice", "both"],
)
async def test_receive__large_payment_with_errors__is_judged_as_on_the_loop(tmp_path, pool, spoil, credited, text):
    inline = await outcome_of(tmp_path / "inline", spoil, None)
    asked = await outcome_of(tmp_path / "asked", spoil, pool)

    assert asked == inline
    assert asked[:2] == (text, credited)
    assert max(asked[2]) > 100  # winners after the error are kept


async def test_receive__large_expired_payment__winners_are_kept_and_nothing_is_credited(tmp_path, pool):
    text, credited, won = await outcome_of(tmp_path / "s", lambda payment: payment, pool, expired=True)
    assert (text, credited) == ("TicketParams expired", 0)
    assert len(won) > 20
