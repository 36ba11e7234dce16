"""Orchestrators and the redeemer that they share, over real sockets."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import grpc
import pytest

from livefleet.kernel import ConditionBoard, OutsideWorld, Refused, SystemClock
from livefleet.payments import HandOver, RedeemerDesk, SenderMonitor, SharedFloat, SqliteStore, TicketState
from livefleet.wire.channel import open_channel, parse_endpoint
from livefleet.wire.proto import redeemer_pb2 as pb
from livefleet.wire.redeemer import RedeemerClient, RedeemerServer
from livefleet.wire.tls import ensure_certificate
from livefleet.wire.translate.redeemer import winner_to_proto
from tests.builders.agents import free_port
from tests.builders.clock import HandClock
from tests.builders.payments import ETH, GATEWAY, ORCHESTRATOR, OTHER, ToldChain, a_head, a_winner, some_prices
from tests.builders.payments import a_desk as a_payments_desk

pytestmark = [pytest.mark.component, pytest.mark.timeout(60)]

SHARE = ETH // 10  # of the told sender's reserve, with a pool of ten


class Shared:
    """A redeemer with a real store; `moved` is what its chain watcher would call."""

    def __init__(self, folder, port):
        self.chain = ToldChain()
        self.monitor = SenderMonitor(self.chain)
        self.store = SqliteStore(folder / "redeemer.sqlite3")
        self.listeners = []
        self.address = f"127.0.0.1:{port}"
        self.desk = RedeemerDesk(
            self.store,
            self.monitor,
            recipient=ORCHESTRATOR,
            clock=HandClock(),
            subscribe_chain=self._subscribe,
        )
        certificate = ensure_certificate(folder / "tls", "127.0.0.1", SystemClock())
        board = ConditionBoard(SystemClock())
        self.server = RedeemerServer(self.desk, listen=self.address, certificate=certificate, board=board)

    def _subscribe(self, changed):
        self.listeners.append(changed)
        return lambda: self.listeners.remove(changed)

    def moved(self):
        for changed in tuple(self.listeners):
            changed()


@asynccontextmanager
async def a_redeemer(folder, port=None):
    shared = Shared(folder, port or free_port())
    async with shared.store, shared.server:
        yield shared


@pytest.fixture
async def redeemer(tmp_path):
    async with a_redeemer(tmp_path) as shared:
        yield shared


async def until(holds, timeout_s=20):
    async with asyncio.timeout(timeout_s):
        while not (value := await holds()):
            await asyncio.sleep(0.01)
    return value


async def test_queue__a_winner__is_durable_and_kept_once(redeemer):
    winner = a_winner()
    async with RedeemerClient(redeemer.address) as client:
        await client.queue(winner)
        await client.queue(winner)
    (stored,) = await redeemer.store.pending()
    assert stored.winner == winner
    assert redeemer.store.totals.of(TicketState.PENDING).count == 1


async def test_queue__somebody_elses_ticket__permission_denied_with_the_protocols_text(redeemer):
    winner = a_winner(recipient=OTHER)
    async with RedeemerClient(redeemer.address) as client:
        with pytest.raises(Refused) as refused:
            await client.queue(winner)
    assert refused.value.text == f"invalid ticket recipient {OTHER}, expected {ORCHESTRATOR}"
    assert await redeemer.store.pending() == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"recipient_rand": 8}, "invalid recipientRand for ticket recipientRandHash"),
        ({"signature": b"\1" * 65}, "invalid ticket signature"),
    ],
)
async def test_queue__a_ticket_that_cannot_be_redeemed__internal(redeemer, change, text):
    await _refused(redeemer, replace(a_winner(), **change), text)


async def test_queue__a_loser__internal(redeemer):
    await _refused(redeemer, a_winner(win_prob=0), "ticket did not win")


async def _refused(redeemer, winner, text):
    channel = await open_channel(parse_endpoint(redeemer.address), timeout_s=10)
    async with channel:
        call = channel.unary_unary(
            "/net.TicketRedeemer/QueueTicket",
            request_serializer=pb.Ticket.SerializeToString,
            response_deserializer=pb.QueueTicketRes.FromString,
        )
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call(winner_to_proto(winner), timeout=10)
    assert (error.value.code(), error.value.details()) == (grpc.StatusCode.INTERNAL, text)
    assert await redeemer.store.pending() == []


async def test_float__is_followed_and_pushed_at_every_change(redeemer):
    async with RedeemerClient(redeemer.address) as client:

        async def told():
            return await client.max_float(GATEWAY)

        assert await until(told) == SHARE
        redeemer.chain.sender = replace(redeemer.chain.sender, deposit=0)
        with redeemer.monitor.redeeming(GATEWAY, SHARE // 4):

            async def fell():
                return await told() == SHARE - SHARE // 4

            await until(fell)
        redeemer.chain.move(pool_size=20)
        redeemer.moved()

        async def halved():
            return await told() == SHARE // 2

        await until(halved)
        assert redeemer.server.monitors == 1


async def test_float__below_zero__is_told_as_zero(redeemer):
    redeemer.chain.sender = replace(redeemer.chain.sender, deposit=0)
    with redeemer.monitor.redeeming(GATEWAY, 2 * SHARE):
        async with RedeemerClient(redeemer.address) as client:

            async def told():
                return await client.max_float(GATEWAY) is not None

            await until(told)
            assert await client.max_float(GATEWAY) == 0


async def test_float__redeemer_away__is_unknown_and_quotes_go_on(tmp_path):
    async with RedeemerClient(f"127.0.0.1:{free_port()}") as client:
        assert await client.max_float(GATEWAY) is None
        monitor = SharedFloat(ToldChain(), client)
        assert await monitor.max_float(GATEWAY) == SHARE
        with pytest.raises(OutsideWorld):
            await client.queue(a_winner())
        assert client.last_error


async def test_float__redeemer_comes_back_with_another_certificate__is_followed_again(tmp_path):
    port = free_port()
    async with RedeemerClient(f"127.0.0.1:{port}") as client:

        async def told():
            return await client.max_float(GATEWAY) == SHARE

        async with a_redeemer(tmp_path / "one", port):
            await until(told)

        async def forgotten():
            return await client.max_float(GATEWAY) is None

        await until(forgotten)
        async with a_redeemer(tmp_path / "two", port):
            await until(told)
            await client.queue(a_winner())


async def test_hand_over__winners_go_there_and_are_settled_by_the_chain(redeemer, tmp_path):
    chain, clock, used = ToldChain(), HandClock(), set()

    async def is_used(ticket_hash):
        return ticket_hash in used

    redeemed, lost = a_winner(expiration_block=21_000_010), a_winner(sender_nonce=2, expiration_block=21_000_010)
    async with (
        SqliteStore(tmp_path / "own.sqlite3") as store,
        RedeemerClient(redeemer.address) as client,
    ):
        await _won(store, redeemed, lost)
        duty = HandOver(store, chain, client, is_used, clock=clock)
        assert (await duty.run_once()).handed_over == 2
        assert {t.winner for t in await redeemer.store.pending()} == {redeemed, lost}
        assert (await duty.run_once()).with_redeemer == 2
        # What the redeemer forgot (its disk was replaced, say) is handed over once more.
        chain.move(l1_block=21_000_010)
        clock.time += 601
        assert (await duty.run_once()).handed_over == 2
        used.add(redeemed.ticket.hash)
        assert (await duty.run_once()).redeemed == 1
        chain.move(current_round=a_head().current_round + 2)
        report = await duty.run_once()
        assert (report.lost, report.lost_value) == (1, lost.ticket.face_value)
        assert await store.pending() == []
        totals = store.totals
    assert (totals.of(TicketState.REDEEMED).count, totals.of(TicketState.LOST).count) == (1, 1)


async def test_hand_over__redeemer_away__tickets_wait_and_say_why(tmp_path):
    async def is_used(_):
        return False

    async with SqliteStore(tmp_path / "own.sqlite3") as store, RedeemerClient(f"127.0.0.1:{free_port()}") as client:
        await _won(store, a_winner())
        duty = HandOver(store, ToldChain(), client, is_used, clock=HandClock())
        report = await duty.run_once()
        assert sum(report.waiting.values()) == 1
        (stored,) = await store.pending()
        assert "127.0.0.1" in stored.note


async def test_quotes__stay_within_what_the_redeemer_has_in_flight(redeemer, tmp_path):
    """Two orchestrators share a recipient: what one has in flight lowers what the other quotes."""
    redeemer.chain.sender = replace(redeemer.chain.sender, deposit=0)
    async with (
        RedeemerClient(redeemer.address) as client,
        a_payments_desk(tmp_path / "o", prices=some_prices()) as made,
    ):
        payments, _, chain, _ = made
        payments._monitor = SharedFloat(chain, client)

        async def seen():
            return await client.max_float(GATEWAY) is not None

        await until(seen)
        before = (await payments.quote(GATEWAY)).ticket_params.face_value
        with redeemer.monitor.redeeming(GATEWAY, SHARE - before // 2):

            async def fell():
                return await client.max_float(GATEWAY) < before

            await until(fell)
            assert (await payments.quote(GATEWAY)).ticket_params.face_value == before // 2


async def _won(store, *winners):
    desk = RedeemerDesk(
        store,
        SenderMonitor(ToldChain()),
        recipient=ORCHESTRATOR,
        clock=HandClock(),
        subscribe_chain=lambda _: lambda: None,
    )
    for winner in winners:
        await desk.queue(winner)
