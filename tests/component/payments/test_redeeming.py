"""The redeemer over a real store and a chain that answers as told."""

import asyncio
from fractions import Fraction

import pytest

from livefleet.chain import Reverted
from livefleet.kernel import BlockNumber, Round, SessionId, Transient, Wei
from livefleet.payments import Redeemer, Redemption, SenderMonitor, SqliteStore, TicketState, read_tickets
from livefleet.payments.records import PaymentRecord
from tests.builders.payments import ETH, GATEWAY, REDEEM_GAS, HandClock, ToldChain, a_sender, a_winner

pytestmark = pytest.mark.component

FACE = Wei(12 * 10**15)


class ToldBroker:
    """A RedemptionChain: pays each ticket in full unless told otherwise by sender nonce."""

    def __init__(self):
        self.used = {}  # ticket hash -> Redemption or None (somebody else's)
        self.refusals = {}  # nonce -> error to raise
        self.held = {}  # nonce -> event to wait for
        self.paying = {}  # nonce -> wei
        self.sent = []
        self.claimable = Wei(ETH)
        self.pending_seen = []
        self.monitor = None

    async def is_used(self, ticket_hash):
        return ticket_hash in self.used

    async def claimable_reserve(self, sender):
        if isinstance(self.claimable, Exception):
            raise self.claimable
        return self.claimable

    async def redeem(self, winner, *, max_gas_price):
        nonce = winner.ticket.sender_nonce
        self.pending_seen.append(self.monitor.pending(winner.ticket.sender))
        if nonce in self.held:
            await self.held[nonce].wait()
        if nonce in self.refusals:
            raise self.refusals[nonce]
        self.sent.append(nonce)
        done = Redemption(winner.ticket.hash, Wei(self.paying.get(nonce, winner.ticket.face_value)))
        self.used[winner.ticket.hash] = done
        return done

    async def earlier(self, winner):
        return self.used.get(winner.ticket.hash)


class Bench:
    def __init__(self, store, path):
        self.path = path
        self.store = store
        self.chain = ToldChain()
        self.broker = ToldBroker()
        self.monitor = self.broker.monitor = SenderMonitor(self.chain)

    def redeemer(self, **fields):
        return Redeemer(
            self.store, self.chain, self.broker, self.monitor, redeem_gas=REDEEM_GAS, clock=HandClock(), **fields
        )

    async def won(self, *nonces, **fields):
        winners = tuple(a_winner(sender_nonce=nonce, face_value=FACE, **fields) for nonce in nonces)
        record = PaymentRecord(
            account=(GATEWAY, SessionId("aabbccdd")),
            recipient_rand_hash=b"\x01" * 32,
            expiration_block=21_000_000,
            nonces=(),
            ticket_value=Fraction(0),
            winners=winners,
            fixed_price=None,
            at=1.0,
        )
        await self.store.take(record, lambda _: None)
        return winners

    def states(self):
        return {t.winner.ticket.sender_nonce: (t.state, t.note, t.paid) for t in read_tickets(self.path)}


@pytest.fixture
async def bench(tmp_path):
    async with SqliteStore(tmp_path / "s") as store:
        yield Bench(store, tmp_path / "s")


async def test_run__parameters_expired__tickets_are_redeemed(bench):
    await bench.won(1, 2)

    report = await bench.redeemer().run_once()

    assert (report.looked_at, report.redeemed, report.paid) == (2, 2, 2 * FACE)
    assert bench.states() == dict.fromkeys((1, 2), (TicketState.REDEEMED, "redeemed", FACE))
    assert bench.store.totals.of(TicketState.REDEEMED).count == 2
    assert bench.store.totals.paid == 2 * FACE
    assert (await bench.redeemer().run_once()).looked_at == 0


async def test_run__parameters_not_expired__random_is_not_shown(bench):
    await bench.won(1, expiration_block=21_000_001)

    report = await bench.redeemer().run_once()

    assert report.waiting == {"parameters have not expired": 1}
    assert bench.broker.sent == []
    assert bench.states()[1] == (TicketState.PENDING, "parameters have not expired", None)
    bench.chain.move(l1_block=BlockNumber(21_000_001))
    assert (await bench.redeemer().run_once()).redeemed == 1


async def test_run__several__first_expired_then_most_valuable(bench):
    await bench.won(1, expiration_block=21_000_000)
    await bench.won(2, expiration_block=20_999_999)
    big = a_winner(sender_nonce=3, face_value=Wei(FACE + 1), expiration_block=21_000_000)
    await bench.store.take(
        PaymentRecord((GATEWAY, SessionId("x")), b"\x01" * 32, 21_000_000, (), Fraction(0), (big,), None, 1.0),
        lambda _: None,
    )

    await bench.redeemer(in_flight=1).run_once()

    assert bench.broker.sent == [2, 3, 1]


async def test_run__one_is_stuck__others_go_on(bench):
    await bench.won(1, 2, 3)
    stuck = bench.broker.held[1] = asyncio.Event()
    running = asyncio.ensure_future(bench.redeemer().run_once())
    async with asyncio.timeout(30):
        while len(bench.broker.sent) < 2:
            await asyncio.sleep(0.01)
    assert bench.broker.sent == [2, 3]
    stuck.set()
    assert (await running).redeemed == 3


async def test_run__in_flight__counts_as_pending_and_no_longer_after(bench):
    await bench.won(1)
    bench.broker.refusals[1] = Transient("the node is away")

    report = await bench.redeemer().run_once()

    assert bench.broker.pending_seen == [FACE]
    assert bench.monitor.pending(GATEWAY) == 0
    assert report.waiting == {"the node is away": 1}
    assert bench.states()[1][:2] == (TicketState.PENDING, "the node is away")


async def test_run__permanent_revert__is_lost_counted_and_named(bench, caplog):
    await bench.won(1, 2)
    bench.broker.refusals[1] = Reverted("invalid signature over ticket hash")

    report = await bench.redeemer().run_once()

    assert (report.lost, report.lost_value, report.redeemed) == (1, FACE, 1)
    assert bench.states()[1][:2] == (TicketState.LOST, "invalid signature over ticket hash")
    assert bench.store.totals.of(TicketState.LOST).value == FACE
    assert [r.reason for r in caplog.records if r.message == "ticket.lost"] == ["invalid signature over ticket hash"]


async def test_run__too_late__is_lost_unless_the_contract_has_it(bench):
    (late, used) = await bench.won(1, 2)
    bench.broker.used[used.ticket.hash] = Redemption(b"\x05" * 32, FACE)
    bench.chain.move(current_round=Round(3502), last_initialized_round=Round(3502))

    report = await bench.redeemer().run_once()

    assert (report.lost, report.used_before) == (1, 1)
    assert bench.states()[1][:2] == (TicketState.LOST, "ticket is expired")
    assert bench.states()[2][0] is TicketState.REDEEMED
    assert late.ticket.hash not in bench.broker.used


async def test_run__revert_that_passes__is_tried_again(bench):
    await bench.won(1)
    bench.broker.refusals[1] = Reverted("transcoder must be active")
    assert (await bench.redeemer().run_once()).waiting == {"transcoder must be active": 1}
    del bench.broker.refusals[1]

    assert (await bench.redeemer().run_once()).redeemed == 1


async def test_run__accounting_panic__raises_an_alarm_and_keeps_the_ticket(bench):
    (winner,) = await bench.won(1)
    bench.broker.refusals[1] = Reverted("Panic(0x01)")

    report = await bench.redeemer().run_once()

    assert report.alarms == [f"{winner.ticket.hash.hex()}: Panic(0x01)"]
    assert bench.states()[1][0] is TicketState.PENDING


async def test_run__killed_after_sending__is_found_used_and_not_sent_again(bench):
    (winner,) = await bench.won(1)
    bench.broker.used[winner.ticket.hash] = Redemption(b"\x05" * 32, Wei(FACE - 1))

    report = await bench.redeemer().run_once()

    assert (report.used_before, report.paid, bench.broker.sent) == (1, FACE - 1, [])
    assert bench.states()[1] == (TicketState.REDEEMED, "redeemed", FACE - 1)


async def test_run__somebody_else_redeemed_it__is_done(bench):
    (winner,) = await bench.won(1)
    bench.broker.used[winner.ticket.hash] = None

    assert (await bench.redeemer().run_once()).used_before == 1
    assert bench.states()[1] == (TicketState.REDEEMED, "found used on chain", None)


async def test_run__paid_less_than_face_value__says_so(bench):
    await bench.won(1)
    bench.broker.paying[1] = 5

    report = await bench.redeemer().run_once()

    assert (report.paid, report.short) == (5, FACE - 5)
    assert bench.store.totals.paid == 5


async def test_run__reserve_share_shrank__waits_for_the_next_round(bench):
    await bench.won(1)
    bench.broker.claimable = Reverted("Panic(0x11)")

    assert (await bench.redeemer().run_once()).waiting == {"reserve share shrank below what was claimed": 1}


async def test_run__nothing_to_be_had__ticket_is_not_burnt(bench):
    await bench.won(1)
    bench.chain.sender = a_sender(deposit=Wei(0))
    bench.broker.claimable = Wei(0)

    assert (await bench.redeemer().run_once()).waiting == {"pays less than its transaction costs": 1}
    assert bench.broker.sent == []


async def test_take__same_ticket_with_another_signature__is_kept_once(bench):
    await bench.won(1)
    await bench.won(1)

    assert bench.store.totals.won.count == 1
    assert len(await bench.store.pending()) == 1
