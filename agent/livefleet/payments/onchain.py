"""Payments with real tickets.

Source: go-livepeer core/orchestrator.go ProcessPayment, pm/recipient.go ReceiveTicket.
"""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from types import TracebackType
from typing import Self

from livefleet.chain.models import ChainHead
from livefleet.kernel import Address, BlockNumber, Clock, SessionId, Transient, Wei
from livefleet.payments.balance import Account, Balances
from livefleet.payments.counters import PaymentCounters
from livefleet.payments.errors import BadPayment, InsufficientReserve
from livefleet.payments.models import PaymentsSnapshot, Quote, ReceivedPayment, TicketParams
from livefleet.payments.nonces import Nonces
from livefleet.payments.pricing import PriceList, fit_int64
from livefleet.payments.receipt import Receipt, check_commitment, checked_price
from livefleet.payments.recipient import PARAMS_VALID_BLOCKS, face_value, ticket_params
from livefleet.payments.records import (
    DebitRecord,
    ForgetBalances,
    ForgetTickets,
    PaymentRecord,
    PruneNonces,
    TicketState,
)
from livefleet.payments.recovery import Inline, Recovery
from livefleet.payments.sender_monitor import ChainReader, SenderMonitor
from livefleet.payments.store import TicketStore
from livefleet.spec import TicketSettings

__all__ = ["KEEP_SETTLED_S", "OnchainPayments"]

log = logging.getLogger(__name__)

KEEP_SETTLED_S = 400 * 86_400.0
"""How long tickets are kept after their end: a year's accounts and some time to close them."""

_CLEAN_EVERY_S = 60.0
_FORGET_EVERY_S = 86_400.0
_SAME_PRICE_FACTOR = 2
"""A gateway leaves a session whose price doubled, so no honest price is below half of ours."""


class OnchainPayments:
    """The Payments of an on-chain orchestrator. An async context manager; the store outlives it.

    Memory is the authority for balances while the process lives and follows the disk: credit is used only after its
    commit. `monitor` is shared with the redeemer, which tells it what is being redeemed. `gas_price` is what quotes
    reckon with; None: the chain's of now. `recovery` takes large payments' signature checks off the loop.
    """

    on_chain = True

    def __init__(
        self,
        store: TicketStore,
        chain: ChainReader,
        monitor: SenderMonitor,
        *,
        recipient: Address,
        prices: PriceList,
        ticket: TicketSettings,
        redeem_gas: int,
        clock: Clock,
        gas_price: Callable[[], Wei] | None = None,
        recovery: Recovery | None = None,
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.recipient = recipient
        self._store = store
        self._chain = chain
        self._monitor = monitor
        self._prices = prices
        self._ticket = ticket
        self._redeem_gas = redeem_gas
        self._gas_price = gas_price or (lambda: chain.head().gas_price)
        self._clock = clock
        self._recovery = recovery or Inline()
        self._token_bytes = token_bytes
        self._group = asyncio.TaskGroup()
        self._cleaner: asyncio.Task[None] | None = None
        self._secret = b""
        self._balances = Balances(clock)
        self._nonces = Nonces({})
        self._tickets_forgotten_at = 0.0
        self._refused: Counter[str] = Counter()
        self.counters = PaymentCounters()
        """What is counted since the start; for reading only."""
        self._parameters_end: BlockNumber | None = None
        self._may_be_open = True  # parameters of an earlier life, or quoted since they were closed
        self._closing_before: int | None = None  # while that is not on disk yet
        self.closed_before = 0
        """Parameters that expire before this L1 block take no tickets any more, for good; for reading only."""
        self._began_with: dict[Account, PriceList] = {}  # what was asked when a running session's price was fixed

    async def __aenter__(self) -> Self:
        self._secret = await self._store.secret("recipient")
        loaded = await self._store.load()
        self._balances = Balances(self._clock, loaded.balances.items())
        self._nonces = Nonces(loaded.commitments, floor=loaded.floor)
        self.closed_before = loaded.floor
        await self._group.__aenter__()
        self._cleaner = self._group.create_task(self._keep_clean(), name="payments-cleaner")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._cleaner is not None:
            self._cleaner.cancel()
        await self._group.__aexit__(None, None, None)

    async def quote(
        self,
        sender: Address | None,
        *,
        session: SessionId | None = None,
        models: Sequence[tuple[str, str]] = (),
        price: Fraction | None = None,
    ) -> Quote:
        """Price and ticket parameters for `sender`; see Payments."""
        if sender is None:
            raise InsufficientReserve
        price = fit_int64(await self._price(sender, session, models) if price is None else price)
        params = ticket_params(
            self._secret,
            recipient=self.recipient,
            sender=sender,
            value=await self._face_value(sender) if price else Wei(0),
            expected=self._ticket.expected_value,
            price=price,
            head=self._head(),
            end=self._parameters_end,
            seed=int.from_bytes(self._token_bytes(32), "big"),
        )
        self._may_be_open = True
        return Quote(price, params)

    def fixed_price(self, sender: Address, session: SessionId) -> Fraction | None:
        """What tickets bound; see Payments."""
        return self._balances.fixed_price((sender, session))

    async def receive(self, payment: ReceivedPayment, session: SessionId) -> None:
        """Check and credit a payment; see Payments. Also raises StoreFailed, and then nothing was credited."""
        try:
            await self._receive(payment, session)
        except BadPayment as error:
            self._refused[error.kind] += 1
            self.counters.refuse(payment.sender, error)
            log.debug(
                "payment.refused", extra={"sender": payment.sender, "payment_session": session, "error": error.text}
            )
            raise

    def require_balance(self, payment: ReceivedPayment, session: SessionId, *, price: Fraction | None = None) -> None:
        """Refuse what is not paid for; see Payments."""
        if not self._charge(payment, session, price):
            return
        amount = None if payment.sender is None else self._balances.amount((payment.sender, session))
        if amount is None or amount < self._ticket.expected_value:
            self._refused["InsufficientBalance"] += 1
            raise BadPayment("Insufficient balance", kind="InsufficientBalance")

    def debit(
        self, payment: ReceivedPayment, session: SessionId, units: int, *, price: Fraction | None = None
    ) -> Fraction:
        """Charge finished work; see Payments. Durable with the next commit, which is not waited for."""
        fee = units * self._charge(payment, session, price)
        if payment.sender is not None and fee:
            account = (payment.sender, session)
            self._balances.change(account, -fee)
            self._store.later(DebitRecord(account, fee, self._clock.now()))
        return fee

    def capability_prices(self, sender: Address | None) -> Sequence[tuple[str, str, int]]:
        """Every model's price, not adjusted."""
        return self._prices.capability_prices(sender)

    def set_prices(self, prices: PriceList) -> None:
        """Quote these from now on; see Payments."""
        for account in self._balances.with_fixed_price():
            self._began_with.setdefault(account, self._prices)
        self._prices = prices

    @property
    def in_use(self) -> bool:
        """Whether somebody has credit here or a winning ticket waits."""
        return bool(len(self._balances)) or self._store.totals.of(TicketState.PENDING).count > 0

    def end_parameters_at(self, block: BlockNumber | None) -> None:
        """Quote parameters that expire at this L1 block at the latest, and none from it on. None: as ever."""
        self._parameters_end = block

    async def close_parameters(self) -> None:
        """Have all parameters that were quoted so far expire now, for good; durable on return. Raises StoreFailed.

        From then on their random may be shown: what they won can be redeemed. Quotes have to have ended before.
        """
        if not self._may_be_open:
            return
        if self._closing_before is None:
            self._closing_before = self._head().l1_block + PARAMS_VALID_BLOCKS + 1
        self._nonces.close(self._closing_before)
        self._store.later(PruneNonces(self._closing_before))
        nothing = PaymentRecord(
            account=(self.recipient, SessionId("closing")),
            recipient_rand_hash=bytes(32),
            expiration_block=0,
            nonces=(),
            ticket_value=Fraction(0),
            winners=(),
            fixed_price=None,
            at=self._clock.now(),
        )
        # Writes take effect in order: when this one is there, so is the one before.
        await asyncio.shield(self._store.take(nothing, lambda _: None))
        self.closed_before, self._closing_before = self._closing_before, None
        self._may_be_open = False
        log.warning("payments.parameters_closed", extra={"before_block": self.closed_before})

    def snapshot(self) -> PaymentsSnapshot:
        """Counts and sums."""
        totals = self._store.totals
        return PaymentsSnapshot(
            on_chain=True,
            recipient=self.recipient,
            price=self._prices.video,
            received=totals.received,
            won=totals.won,
            pending=totals.of(TicketState.PENDING),
            redeemed=totals.of(TicketState.REDEEMED),
            lost=totals.of(TicketState.LOST),
            paid=totals.paid,
            refused=dict(self._refused),
            balances=len(self._balances),
            senders=self._balances.senders(),
            credit=self._balances.total(),
            store_fault=self._store.fault,
        )

    def clean(self) -> None:
        """Drop idle balances, tickets that ended long ago, and nonces of expired parameters."""
        if idle := self._balances.drop_idle():
            self._store.later(ForgetBalances(idle))
            for account in idle:
                self._began_with.pop(account, None)
        if (now := self._clock.now()) >= self._tickets_forgotten_at + _FORGET_EVERY_S:
            self._tickets_forgotten_at = now
            self._store.later(ForgetTickets(now - KEEP_SETTLED_S))
        if (block := self._nonces.prune(self._chain.head().l1_block)) is not None:
            self._store.later(PruneNonces(block))

    async def _keep_clean(self) -> None:
        while True:
            await asyncio.sleep(_CLEAN_EVERY_S)
            try:
                self.clean()
            except Transient as error:
                log.debug("payments.not_cleaned", extra={"error": str(error)})

    async def _price(self, sender: Address, session: SessionId | None, models: Sequence[tuple[str, str]]) -> Fraction:
        prices = self._prices if session is None else self._asked_of((sender, session))
        base = prices.base(sender, models)
        fixed = None if session is None else self._balances.fixed_price((sender, session))
        if fixed is not None and fixed * _SAME_PRICE_FACTOR >= base:
            return fixed
        if not prices.auto_adjust or not base:
            return base
        value = await self._face_value(sender)
        return prices.asked(base, face_value=value, tx_cost=self._redeem_gas * self._gas_price())

    def _head(self) -> ChainHead:
        """The chain as seen, but never before the end of parameters whose nonces are forgotten."""
        head = self._chain.head()
        if head.l1_block >= self._nonces.floor - 1:
            return head
        return replace(head, l1_block=BlockNumber(self._nonces.floor - 1))

    def _asked_of(self, account: Account | None) -> PriceList:
        """The prices that a session is measured by: those it began with, where they have changed since."""
        return self._prices if account is None else self._began_with.get(account, self._prices)

    async def _face_value(self, sender: Address) -> Wei:
        max_float = await self._monitor.max_float(sender)
        value = face_value(self._ticket, redeem_gas=self._redeem_gas, gas_price=self._gas_price(), max_float=max_float)
        self.counters.quote(sender, max_float=max_float, face_value=value)
        return value

    async def _receive(self, payment: ReceivedPayment, session: SessionId) -> None:
        params, sender = payment.ticket_params, payment.sender
        if params is None:
            checked_price(payment)
            return
        if sender is None:
            raise BadPayment(
                f"Could not find Sender for payment: recipient={params.recipient} face_value={params.face_value} "
                f"tickets={len(payment.tickets)}",
                kind="NoSender",
            )
        if not await self._chain.is_active(params.recipient):
            round_ = self._chain.head().last_initialized_round
            raise BadPayment(
                f"orchestrator {params.recipient} is inactive in round {round_}, cannot process payments",
                kind="Inactive",
            )
        price = checked_price(payment)
        if not payment.tickets:
            return
        if await self._monitor.is_unlocking(sender):
            raise BadPayment(f"deposit and reserve for sender {sender} is set to unlock soon", kind="SenderUnlocking")
        rand = check_commitment(
            payment, params, sender=sender, recipient=self.recipient, price=price, secret=self._secret
        )
        receipt = Receipt(payment, params, sender, rand, self._nonces, self._head().l1_block)
        try:
            await receipt.take_tickets(self._recovery)
        except BaseException:
            self._nonces.release(params.recipient_rand_hash, receipt.credited)
            raise
        if receipt.credited or receipt.winners:
            await asyncio.shield(self._make_durable((sender, session), params, receipt, price))
        if receipt.error is not None:
            raise receipt.error

    def _make_durable(
        self, account: Account, params: TicketParams, receipt: Receipt, price: Fraction
    ) -> "asyncio.Future[Fraction]":
        nonces = tuple(receipt.credited)

        def done(credit: Fraction | None) -> None:
            if credit is None:
                self._nonces.release(params.recipient_rand_hash, nonces)
                return
            for winner in receipt.winners:
                facts = {"sender": account[0], "face_value": params.face_value, "ticket": winner.ticket.hash.hex()}
                log.info("ticket.won", extra=facts)
            self.counters.take(account[0], tickets=len(nonces), value=float(credit), winners=len(receipt.winners))
            if nonces:
                self._balances.change(account, credit, fixed_price=price)

        self._balances.touch(account)
        record = PaymentRecord(
            account=account,
            recipient_rand_hash=params.recipient_rand_hash,
            expiration_block=params.expiration_block,
            nonces=nonces,
            ticket_value=receipt.ticket_value,
            winners=tuple(receipt.winners),
            fixed_price=price or None,
            at=self._clock.now(),
        )
        return self._store.take(record, done)

    def _charge(self, payment: ReceivedPayment, session: SessionId, asked: Fraction | None) -> Fraction:
        """Wei per unit: what tickets bound, else what the session has, else what we ask.

        A header's word alone counts for nothing, and no price below half of what the work costs counts: it was quoted
        for other work.
        """
        account = None if payment.sender is None else (payment.sender, session)
        ours = self._asked_of(account).base(payment.sender) if asked is None else asked
        fixed = None if account is None else self._balances.fixed_price(account)
        if fixed is not None and fixed * _SAME_PRICE_FACTOR >= ours:
            ours = fixed
        bound = payment.expected_price if payment.ticket_params is not None and payment.tickets else None
        if bound is not None and bound * _SAME_PRICE_FACTOR >= ours:
            return bound
        return ours
