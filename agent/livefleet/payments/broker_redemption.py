"""RedemptionChain over the TicketBroker and one signer's transactions."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from livefleet.chain import Call, ChainClient, Intent, Reverted, SpendLimit, Transactions
from livefleet.chain.contracts.bonding_manager import IS_ACTIVE_TRANSCODER
from livefleet.chain.contracts.rounds_manager import CURRENT_ROUND, CURRENT_ROUND_START_BLOCK, ROUND_LENGTH
from livefleet.chain.contracts.ticket_broker import CLAIMABLE_RESERVE, TICKET_VALIDITY_PERIOD, SignedTicket
from livefleet.chain.models import TransactionOutcome
from livefleet.chain.rpc import Read
from livefleet.kernel import Address, BlockNumber, Round, Wei
from livefleet.payments.redemption_chain import Mined, Redemption, Survey, Trial
from livefleet.payments.redemption_logs import RedemptionLogs
from livefleet.payments.redemption_plan import SenderFunds
from livefleet.payments.round_times import RoundTimes
from livefleet.payments.ticket import WinningTicket

__all__ = ["BrokerRedemption", "purpose", "purpose_tickets"]

_PURPOSE = "redeem:"
_PAGE = 200  # settled intents at a time, when a ticket's transaction is looked for
_REMEMBERED = 20_000  # tickets whose transaction is known by heart, the latest settled
_FINAL_POLL_S = 0.5
_SINGLY = 8  # requests at a time, where a refusal broke a batch of them up


class BrokerRedemption:
    """Reads at one block; sends under purposes that name the tickets."""

    def __init__(self, client: ChainClient, transactions: Transactions) -> None:
        self._client = client
        self._transactions = transactions
        self._logs = RedemptionLogs(client)
        self._times: RoundTimes | None = None
        self._settled_read = 0  # place in the order of settlement
        self._purposes: dict[bytes, str] = {}  # of settled transactions, by ticket hash

    async def times(self, current_round: Round) -> RoundTimes:
        """The protocol's clock, read again when the round is another."""
        if self._times is None or self._times.round != current_round:
            rounds, broker = self._client.rounds, self._client.broker
            (round_,), (start,), (length,), (validity,) = await self._client.rpc.read_all(
                [
                    rounds.read(CURRENT_ROUND),
                    rounds.read(CURRENT_ROUND_START_BLOCK),
                    rounds.read(ROUND_LENGTH),
                    broker.read(TICKET_VALIDITY_PERIOD),
                ]
            )
            self._times = RoundTimes(Round(round_), BlockNumber(start), length, validity)
        return self._times

    async def is_used(self, ticket_hash: bytes) -> bool:
        """As the contract says."""
        return await self._client.broker.is_used(ticket_hash)

    async def by_anyone(self, winner: WinningTicket, *, since: float) -> Redemption | None:
        """From the broker's events."""
        return await self._logs.find(winner, since=since)

    async def survey(self, winners: Sequence[WinningTicket]) -> Survey:
        """Two batches: funds and trials at one block, then what those that would be taken cost in gas."""
        rpc, broker, bonding = self._client.rpc, self._client.broker, self._client.bonding
        block = hex(await rpc.block_number())
        pairs = list(dict.fromkeys((w.ticket.sender, w.ticket.recipient) for w in winners))
        recipients = list(dict.fromkeys(recipient for _, recipient in pairs))
        reads = [
            *(bonding.read(IS_ACTIVE_TRANSCODER, recipient) for recipient in recipients),
            *(read for sender, recipient in pairs for read in broker.sender_info_reads(sender, recipient)),
            *(broker.read(CLAIMABLE_RESERVE, sender, recipient) for sender, recipient in pairs),
        ]
        calls = [self._call([winner]) for winner in winners]
        answers = await self._each(
            [
                *(("eth_call", (_viewed(read), block)) for read in reads),
                *(("eth_call", (self._sent(call), block)) for call in calls),
            ]
        )
        read, tried = answers[: len(reads)], answers[len(reads) :]
        taken = [index for index, answer in enumerate(tried) if not isinstance(answer, Reverted)]
        estimates = await self._each([("eth_estimateGas", (self._sent(calls[index]),)) for index in taken])
        told = dict(enumerate(tried)) | dict(zip(taken, estimates, strict=True))
        trials = {winner.ticket.hash: _trial(told[index]) for index, winner in enumerate(winners)}
        here = len(recipients)
        active = {to: bool(_decoded(reads[index], read[index])[0]) for index, to in enumerate(recipients)}
        return Survey(active, self._funds(pairs, reads[here:], read[here:]), trials)

    async def live(self) -> tuple[frozenset[bytes], ...]:
        """Of the intents that are not settled."""
        named = (frozenset(purpose_tickets(intent.purpose)) for intent in await self._transactions.live())
        return tuple(tickets for tickets in named if tickets)

    async def allow(self, tickets: frozenset[bytes], limit: SpendLimit) -> None:
        """Under their purpose."""
        await self._transactions.allow(_purpose_of(tickets), limit)

    async def redeem(self, winners: Sequence[WinningTicket], *, gas: int, limit: SpendLimit) -> Mined:
        """One transaction under the purpose of these tickets, waited for until no reorganisation takes it back."""
        name = purpose(winners)
        outcome = await self._transactions.send(name, self._call(winners), gas=gas, limit=limit)
        while (intent := await self._transactions.latest(name)) is not None and intent.is_live:  # noqa: ASYNC110 -- asks our own file, which signals nothing
            await asyncio.sleep(_FINAL_POLL_S)
        if intent is not None and intent.outcome is not None:
            outcome = intent.outcome
        if not outcome.succeeded or (intent is not None and intent.abandoned_because is not None):
            raise Reverted("")
        return Mined(
            tx_hash=outcome.tx_hash,
            gas_used=outcome.gas_used,
            cost=Wei(outcome.gas_used * outcome.effective_gas_price),
            paid={winner.ticket.hash: paid for winner in winners if (paid := self._paid(winner, outcome)) is not None},
        )

    async def earlier(self, winner: WinningTicket) -> Redemption | None:
        """The outcome of the latest of our transactions that named the ticket, where that redeemed it."""
        ticket_hash = winner.ticket.hash
        await self._read_settled()
        named = self._purposes.get(ticket_hash)
        intent = None if named is None else await self._transactions.latest(named)
        return None if intent is None else self._redemption(winner, intent)

    async def _read_settled(self) -> None:
        while page := await self._transactions.settled(self._settled_read, _PAGE):
            for intent in page:
                if intent.outcome is not None and intent.outcome.succeeded:
                    self._purposes |= dict.fromkeys(purpose_tickets(intent.purpose), intent.purpose)
            self._settled_read = page[-1].settled
            for oldest in list(self._purposes)[: max(0, len(self._purposes) - _REMEMBERED)]:
                del self._purposes[oldest]

    def _redemption(self, winner: WinningTicket, intent: Intent) -> Redemption | None:
        if intent.outcome is None or not intent.outcome.succeeded:
            return None
        paid = self._paid(winner, intent.outcome)
        return None if paid is None else Redemption(intent.outcome.tx_hash, paid)

    def _paid(self, winner: WinningTicket, outcome: TransactionOutcome) -> Wei | None:
        ticket = winner.ticket
        for redeemed in self._client.broker.redeemed(outcome):
            if (redeemed.sender, redeemed.sender_nonce, redeemed.recipient_rand, redeemed.recipient) == (
                ticket.sender,
                ticket.sender_nonce,
                winner.recipient_rand,
                ticket.recipient,
            ):
                return redeemed.paid
        return None

    def _funds(
        self, pairs: Sequence[tuple[Address, Address]], reads: Sequence[Read], answers: Sequence[Any]
    ) -> dict[tuple[Address, Address], SenderFunds]:
        found = {}
        for index, pair in enumerate(pairs):
            info = self._client.broker.to_sender_info(
                _decoded(reads[2 * index], answers[2 * index]), _decoded(reads[2 * index + 1], answers[2 * index + 1])
            )
            place = 2 * len(pairs) + index
            claimable = answers[place]
            found[pair] = SenderFunds(
                deposit=info.deposit,
                claimable=None
                if isinstance(claimable, Reverted) and claimable.reason == "Panic(0x11)"
                else Wei(_decoded(reads[place], claimable)[0]),
                withdraw_round=info.withdraw_round,
            )
        return found

    async def _each(self, requests: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        """The answer of each, or the Reverted in its place. One round trip where the contract refuses none."""
        rpc = self._client.rpc
        try:
            return await rpc.batch(requests)
        except Reverted:
            places = asyncio.Semaphore(_SINGLY)

        async def one(method: str, params: tuple[Any, ...]) -> Any:
            async with places:
                try:
                    return await rpc.request(method, *params)
                except Reverted as error:
                    return error

        return list(await asyncio.gather(*(one(method, params) for method, params in requests)))

    def _call(self, winners: Sequence[WinningTicket]) -> Call:
        signed = [_signed(winner) for winner in winners]
        if len(signed) > 1:
            return self._client.broker.batch_redeem_call(signed)
        return self._client.broker.redeem_call(signed[0])

    def _sent(self, call: Call) -> dict[str, str]:
        return {"from": self._transactions.address, "to": call.to, "data": "0x" + call.data.hex()}


def purpose(winners: Sequence[WinningTicket]) -> str:
    """What the transaction over these tickets is recorded under; their order does not matter."""
    return _purpose_of(winner.ticket.hash for winner in winners)


def purpose_tickets(text: str) -> tuple[bytes, ...]:
    """The tickets that a purpose names; none where it is about something else."""
    if not text.startswith(_PURPOSE):
        return ()
    return tuple(bytes.fromhex(part) for part in text.removeprefix(_PURPOSE).split(","))


def _purpose_of(tickets: Iterable[bytes]) -> str:
    return _PURPOSE + ",".join(sorted(ticket.hex() for ticket in tickets))


def _signed(winner: WinningTicket) -> SignedTicket:
    ticket = winner.ticket
    return SignedTicket(
        recipient=ticket.recipient,
        sender=ticket.sender,
        face_value=ticket.face_value,
        win_prob=ticket.win_prob,
        sender_nonce=ticket.sender_nonce,
        recipient_rand_hash=ticket.recipient_rand_hash,
        aux_data=ticket.aux_data,
        signature=winner.signature,
        recipient_rand=winner.recipient_rand,
    )


def _viewed(read: Read) -> dict[str, str]:
    return {"to": read.to, "data": "0x" + read.function.encode(*read.args).hex()}


def _decoded(read: Read, answer: Any) -> tuple[Any, ...]:
    if isinstance(answer, Reverted):
        raise answer
    return read.function.decode(bytes.fromhex(answer[2:]))


def _trial(answer: Any) -> Trial:
    """Of a refusal, or of the gas that taking it needs."""
    if isinstance(answer, Reverted):
        return Trial(refusal=answer.reason)
    return Trial(gas=int(answer, 16))
