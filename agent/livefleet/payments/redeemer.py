"""Turning winning tickets into ETH."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self, assert_never

from livefleet.chain import FeeTooHigh, OutOfFunds, Reverted, SpendLimit
from livefleet.kernel import BlockNumber, Clock, LivefleetError, Tally, Transient, Wei
from livefleet.payments.decision import Lose, Moment, Redeem, Verdict, Wait, Why, before_asking, verdict
from livefleet.payments.departure import Departure
from livefleet.payments.errors import StoreFailed
from livefleet.payments.losses import Losses
from livefleet.payments.records import StoredTicket, TicketState
from livefleet.payments.redemption_book import RedemptionBook
from livefleet.payments.redemption_chain import Mined, Redemption, RedemptionChain, Survey
from livefleet.payments.redemption_gas import RedemptionGas
from livefleet.payments.redemption_line import RedemptionLine
from livefleet.payments.redemption_plan import Due, Purse, Sending, plan_redemptions
from livefleet.payments.redemption_policy import RedemptionPolicy
from livefleet.payments.redemption_report import RedemptionReport
from livefleet.payments.sender_monitor import ChainReader, SenderMonitor
from livefleet.payments.store import Winners

__all__ = ["Redeemer"]

log = logging.getLogger(__name__)

_AT_A_LOOK = 60  # tickets that the contract is asked about at a time, the most pressing first


_ENDS = frozenset({Verdict.USED, Verdict.PERMANENT})


class Redeemer:
    """Redeems what the store holds. Level-based: every look starts from the store and the chain, not from memory.

    An async context manager: inside it transactions go on between looks, `policy.in_flight` at a time, so that one
    that is stuck keeps no others waiting. Leaving it leaves them to the chain: the next life finds what they came to.
    Entering it raises StoreFailed where the store does not say what was lost before.

    `closed_before`: parameters that expire before this L1 block take no tickets any more, for good. `departure`: of the
    recipient from the active set, None where it stays. `expect` is told the L1 block at which there will be news.
    """

    def __init__(
        self,
        store: Winners,
        chain: ChainReader,
        broker: RedemptionChain,
        monitor: SenderMonitor,
        *,
        clock: Clock,
        policy: RedemptionPolicy | None = None,
        closed_before: Callable[[], int] = lambda: 0,
        departure: Callable[[], Departure | None] = lambda: None,
        expect: Callable[[BlockNumber], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._chain = chain
        self._broker = broker
        self._monitor = monitor
        self._policy = policy or RedemptionPolicy()
        self._closed_before = closed_before
        self._departure = departure
        self._expect = expect
        self._book = RedemptionBook(store, chain, broker, self._policy, clock)
        self._line = RedemptionLine(clock)
        self._group = asyncio.TaskGroup()
        self._looking = asyncio.Lock()
        self._told: list[Callable[[], None]] = []
        self.gas = RedemptionGas()
        """What redemptions cost in gas, as learnt; for reading only."""
        self._last = RedemptionReport()
        self.errors = Tally()
        """Redemptions that the chain refused or that could not be sent, by sender; for reading only."""

    async def __aenter__(self) -> Self:
        await self._book.recall()
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.cancel_all()
        await self._group.__aexit__(None, None, None)

    def go_by(self, policy: RedemptionPolicy) -> None:
        """Decide by it from the next look on; what was sent goes on."""
        self._policy = policy
        self._book.go_by(policy)

    @property
    def last(self) -> RedemptionReport:
        """The last look, empty while nothing is pending; for reading only."""
        return self._last if self._store.totals.of(TicketState.PENDING).count else RedemptionReport()

    @property
    def redeemed_value(self) -> Tally:
        """Face values redeemed since the start, in wei by sender; for reading only."""
        return self._book.redeemed_value

    @property
    def losses(self) -> Losses:
        """What was lost lately, and what was lost or paid short since the start; for reading only."""
        return self._book.losses

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` whenever a transaction has ended; the answer ends it."""
        self._told.append(changed)
        return lambda: self._told.remove(changed)

    async def look(self) -> RedemptionReport:
        """Look at every pending ticket once and send what can be sent, without waiting for it.

        Asks the chain nothing where no ticket is pending. Raises Transient where the chain was not seen or the store
        cannot be read or written; a ticket's own trouble is in the report.
        """
        async with self._looking:
            head = self._chain.head()
            # Before the tickets: one whose transaction ends meanwhile is in this or pending no more.
            flying, live = self._line.flying, await self._broker.live()
            pending = await self._store.pending()
            self._book.begin_look(len(pending))
            self._line.keep(stored.winner.ticket.hash for stored in pending)
            self._line.was_sent(ticket_hash for tickets in live for ticket_hash in tickets)
            if pending:
                times = await self._broker.times(head.current_round)
                moment = Moment(head, times, self._closed_before(), self._departure())
                under_way = flying.union(*live)
                idle = [stored for stored in pending if stored.winner.ticket.hash not in under_way]
                sent: Sequence[StoredTicket] = [s for s in pending if s.winner.ticket.hash in under_way]
                self._book.report.in_flight = len(sent)
                self._book.report.blocks_left = min(moment.blocks_left(stored.winner) for stored in pending)
                sent = await self._less_moot(live, sent, moment)
                await self._hurry(live, sent, moment)
                self._tell_unsent(sent, moment)
                await self._look_at(idle, sent, moment)
            self._last = self._book.turn_page()
            return self._last

    async def run_once(self) -> RedemptionReport:
        """Look, and wait for what was sent; the report tells of both."""
        report = await self.look()
        await self._line.empty()
        report.add(self._book.turn_page())
        return report

    async def _look_at(self, idle: Sequence[StoredTicket], flying: Sequence[StoredTicket], moment: Moment) -> None:
        due, over = [], []
        for stored in idle:
            decision = before_asking(stored.winner, moment, self._policy)
            match decision:
                case Redeem():
                    due.append(stored)
                case Wait():
                    await self._book.waits(stored, decision, moment)
                case Lose():
                    over.append(stored)  # the contract has the last word: one endpoint may have misled us
                case _:
                    assert_never(decision)
        due.sort(key=lambda stored: (moment.blocks_left(stored.winner), -stored.winner.ticket.face_value))
        asked = [*over[:_AT_A_LOOK], *await self._not_kept_back(due, idle, moment)]
        if asked:
            await self._ask(asked, flying, moment)
        self._expect(self._next_news(idle, moment))

    async def _hurry(self, live: Iterable[frozenset[bytes]], flying: Sequence[StoredTicket], moment: Moment) -> None:
        """Let transactions whose tickets have become urgent cost what these are worth."""
        urgent = [stored for stored in flying if moment.is_urgent(stored.winner, self._policy)]
        for stored in urgent:
            if self._line.is_slow(stored.winner.ticket.hash):
                self._book.is_late(stored, "its transaction is not mined yet", moment)
        hashes = {stored.winner.ticket.hash for stored in urgent}
        for tickets in live:
            if tickets & hashes and self._line.hurry(tickets):
                worth = sum(s.winner.ticket.face_value for s in flying if s.winner.ticket.hash in tickets)
                limit = SpendLimit(self._policy.urgent_max_gas_price, Wei(worth))
                await self._broker.allow(tickets, limit)

    def _tell_unsent(self, tickets: Iterable[StoredTicket], moment: Moment) -> None:
        """Of those that are being sent: which could not be before, and are pressing."""
        for stored in tickets:
            if because := self._line.why_unsent(stored.winner.ticket.hash):
                self._book.is_late(stored, because, moment)

    async def _less_moot(
        self, live: Iterable[frozenset[bytes]], flying: Sequence[StoredTicket], moment: Moment
    ) -> Sequence[StoredTicket]:
        """`flying` without those that the contract would not take any more: settled, though their transaction goes on.

        A transaction of which nothing is left is told in the log: it is mined, and paid for, when a block takes it.
        """
        slow = [stored for stored in flying if self._line.is_slow(stored.winner.ticket.hash)][:_AT_A_LOOK]
        waited_here = self._line.flying
        if not slow:
            return flying
        try:
            survey = await self._broker.survey([stored.winner for stored in slow])
        except Transient:
            return flying
        ended = set()
        for stored in slow:
            ticket_hash = stored.winner.ticket.hash
            refusal = survey.trials[ticket_hash].refusal
            if refusal is None or verdict(refusal, stored.winner, moment.head) not in _ENDS:
                continue
            has_ended = ticket_hash in waited_here and ticket_hash not in self._line.flying
            if has_ended or not self._line.may_settle(ticket_hash, by_transaction=False):
                continue
            await self._book.refused(stored, refusal, moment)
            ended.add(ticket_hash)
        left = [stored for stored in flying if stored.winner.ticket.hash not in ended]
        waited_for = {stored.winner.ticket.hash for stored in left}
        for tickets in live:
            if tickets & ended and not tickets & waited_for:
                log.warning("redemption.moot", extra={"tickets": len(tickets)})
        return left

    def _next_news(self, idle: Sequence[StoredTicket], moment: Moment) -> BlockNumber:
        """The L1 block at which something may be another: the next one where a ticket is pressing."""
        now = moment.head.l1_block
        if self._book.report.expiring.count:
            return BlockNumber(now + 1)
        coming = [s.winner.expiration_block for s in idle if s.winner.expiration_block > now]
        return BlockNumber(min(coming, default=moment.head.round_end_block))

    async def _not_kept_back(
        self, due: Sequence[StoredTicket], idle: Sequence[StoredTicket], moment: Moment
    ) -> list[StoredTicket]:
        kept_back = self._line.kept_back(due, idle, moment, self._policy)
        asked: list[StoredTicket] = []
        for stored in due:
            if wait := kept_back.get(stored.winner.ticket.hash):
                await self._book.waits(stored, wait, moment)
            elif len(asked) == _AT_A_LOOK:
                await self._book.waits(stored, Wait(Why.IN_LINE, "more pressing tickets go first"), moment)
            else:
                asked.append(stored)
        return asked

    async def _ask(self, asked: Sequence[StoredTicket], flying: Sequence[StoredTicket], moment: Moment) -> None:
        """Have the contract try each, and send what pays."""
        try:
            survey = await self._broker.survey([stored.winner for stored in asked])
        except Transient as error:
            for stored in asked:
                await self._book.waits(stored, Wait(Why.CHAIN, str(error)), moment)
            return
        good = {stored: due for stored in asked if (due := await self._tried(stored, survey, moment))}
        purse = Purse(survey.funds)
        for stored in flying:
            purse.take(stored.winner.ticket)
        await self._send(good, purse, moment)

    async def _tried(self, stored: StoredTicket, survey: Survey, moment: Moment) -> Due | None:
        """A ticket that the contract would take and pay; the others are dealt with."""
        winner, ticket = stored.winner, stored.winner.ticket
        trial, funds = survey.trials[ticket.hash], survey.funds[ticket.sender, ticket.recipient]
        if trial.refusal is not None:
            await self._book.refused(stored, trial.refusal, moment)
        elif funds.withdraw_round and funds.withdraw_round <= moment.head.current_round:
            await self._book.waits(stored, Wait(Why.SENDER_UNLOCKED, "sender is unlocked"), moment)
        elif not funds.deposit and not survey.active[ticket.recipient]:
            # The contract looks at the recipient only where there is something to pay, and burns the ticket otherwise.
            await self._book.waits(stored, Wait(Why.INACTIVE, "recipient is not active"), moment)
        else:
            urgent = moment.is_urgent(winner, self._policy)
            return Due(winner, trial.gas, urgent, moment.blocks_left(winner))
        return None

    async def _send(self, good: dict[StoredTicket, Due], purse: Purse, moment: Moment) -> None:
        by_hash = {due.winner.ticket.hash: stored for stored, due in good.items()}
        plan = plan_redemptions(
            sorted(good.values(), key=_rank),
            purse,
            policy=self._policy,
            gas=self.gas,
            gas_price=moment.head.gas_price,
            alone=self._line.alone,
        )
        for ticket_hash, wait in plan.waits.items():
            await self._book.waits(by_hash[ticket_hash], wait, moment)
        for sending in plan.sendings:
            tickets = [by_hash[winner.ticket.hash] for winner in sending.winners]
            if len(self._line.tasks) < self._policy.in_flight:
                self._book.report.sent += 1
                self._book.report.in_flight += len(tickets)
                self._tell_unsent(tickets, moment)
                self._line.begin(self._group, tickets, self._carry_out(sending, tickets))
            else:
                for stored in tickets:
                    await self._book.waits(stored, Wait(Why.IN_LINE, "other transactions are under way"), moment)

    async def _carry_out(self, sending: Sending, tickets: Sequence[StoredTicket]) -> None:
        """One transaction, from its intent to what became of each ticket.

        What goes wrong is logged and looked up again: the store and the chain say what is true.
        """
        has_ended = False
        try:
            has_ended = await self._redeem(sending, tickets)
        except LivefleetError as error:
            event = "redemption.not_written" if isinstance(error, StoreFailed) else "redemption.failed"
            log.warning(event, extra={"error": f"{type(error).__name__}: {error}"})
        except Exception:
            log.exception("redemption.failed")
        finally:
            self._line.end(tickets)
            if has_ended:  # what could not be sent is tried again at the next look, which is not hurried
                for changed in tuple(self._told):
                    changed()

    async def _redeem(self, sending: Sending, tickets: Sequence[StoredTicket]) -> bool:
        """Whether there was a transaction, or the contract's word that there can be none."""
        try:
            with ExitStack() as pending:
                for winner in sending.winners:
                    pending.enter_context(self._monitor.redeeming(winner.ticket.sender, winner.ticket.face_value))
                mined = await self._broker.redeem(sending.winners, gas=sending.gas, limit=sending.limit)
        except Reverted as error:
            self._count_errors(tickets)
            for stored in self._to_settle(tickets):
                if not error.reason:
                    self._line.fail(stored)
                await self._book.refused(stored, error.reason, None)
        except Transient as error:
            self._count_errors(tickets)
            wait = _not_sent(error)
            for stored in self._to_settle(tickets):
                self._line.not_sent(stored, wait.text)
                await self._book.waits(stored, wait, None)
            return False
        else:
            await self._mined(sending, tickets, mined)
        return True

    async def _mined(self, sending: Sending, tickets: Sequence[StoredTicket], mined: Mined) -> None:
        self._book.report.cost = Wei(self._book.report.cost + mined.cost)
        if len(mined.paid) == len(tickets):
            self.gas.learn(sending.estimates, mined.gas_used)
        facts = {"tx": "0x" + mined.tx_hash.hex(), "tickets": len(tickets), "gas_used": mined.gas_used}
        log.info("redemption.mined", extra=facts | {"redeemed": len(mined.paid), "cost": mined.cost})
        await asyncio.gather(*(self._settle(stored, mined) for stored in self._to_settle(tickets)))

    async def _settle(self, stored: StoredTicket, mined: Mined) -> None:
        """One ticket's part in a mined transaction: what the contract refuses inside one stops no other."""
        ticket_hash = stored.winner.ticket.hash
        if ticket_hash in mined.paid:
            await self._book.redeemed(stored, Redemption(mined.tx_hash, mined.paid[ticket_hash]))
            return
        self._count_errors([stored])
        if await self._broker.is_used(ticket_hash):
            await self._book.used(stored)
            return
        self._line.fail(stored)
        log.warning("ticket.not_redeemed", extra={"ticket": ticket_hash.hex(), "tx": "0x" + mined.tx_hash.hex()})
        await self._book.waits(stored, Wait(Why.FAILED, "not redeemed by a batch; it is tried alone"), None)

    def _to_settle(self, tickets: Iterable[StoredTicket]) -> list[StoredTicket]:
        """Those whose end was not written while their transaction went on."""
        return [s for s in tickets if self._line.may_settle(s.winner.ticket.hash, by_transaction=True)]

    def _count_errors(self, tickets: Iterable[StoredTicket]) -> None:
        for stored in tickets:
            self.errors.add(stored.winner.ticket.sender)


def _not_sent(error: Transient) -> Wait:
    """Without numbers that move with each try."""
    match error:
        case FeeTooHigh():
            return Wait(Why.GAS_PRICE, "gas price is above the limit")
        case OutOfFunds():
            return Wait(Why.CHAIN, "the redeeming key has too little ETH for gas")
        case _:
            return Wait(Why.CHAIN, str(error))


def _rank(due: Due) -> tuple[int, float]:
    """The last moment first, then what pays most for its gas."""
    return due.blocks_left, -due.winner.ticket.face_value / max(1, due.estimate)
