"""Who carries changes out: the node's own key, where it is the orchestrator's, else whoever holds that key."""

import logging
from collections.abc import Callable, Sequence

from livefleet.chain.change import Change
from livefleet.chain.errors import Reverted
from livefleet.chain.models import SpendLimit
from livefleet.chain.proposal import propose, proposed_call
from livefleet.chain.proposal_box import ProposalBox
from livefleet.chain.transactions import Transactions
from livefleet.kernel import Address, Clock, Transient

__all__ = ["Hand"]

log = logging.getLogger(__name__)

_LAG_S = 120.0  # no endpoint that is still asked lags so much


class Hand:
    """Signs and sends, or proposes. What it did is known from the chain alone."""

    def __init__(
        self,
        orchestrator: Address,
        transactions: Transactions | None,
        box: ProposalBox,
        *,
        chain_id: int,
        clock: Clock,
        limit: SpendLimit,
        sent: Callable[[], None],
    ) -> None:
        self._orchestrator = orchestrator
        self._transactions = transactions
        self._box = box
        self._chain_id = chain_id
        self._clock = clock
        self._limit = limit
        self._sent = sent  # told after each try, since nobody knows what a failed one has changed

    @property
    def signs(self) -> bool:
        """Whether changes are sent rather than proposed."""
        return self._transactions is not None

    def has_asked(self, topic: str) -> bool:
        """Whether a proposal of this topic stands."""
        return any(proposal.topic == topic for proposal in self._box.open())

    async def carry_out(self, topic: str, title: str, why: str, changes: Sequence[Change]) -> None:
        """Send the first change, or let one proposal of all of them stand.

        What follows the first is decided anew, from what the chain says once that is mined. Whatever of the topic an
        earlier life sent is waited for first, and then nothing is sent: it may be the same. Raises Transient, also for
        what the contract refuses; OutOfFunds, FeeTooHigh, KeyBusy.
        """
        if self._transactions is None:
            self._propose(topic, title, why, changes)
            return
        self.withdraw(topic)
        if await self._finish_old(self._transactions, topic):
            return
        await self._send(self._transactions, topic, changes[0])

    def withdraw(self, topic: str) -> None:
        """The chain needs nothing of this topic any more."""
        self._box.stand(topic, ())

    def _propose(self, topic: str, title: str, why: str, changes: Sequence[Change]) -> None:
        proposal = propose(
            chain_id=self._chain_id,
            signer=self._orchestrator,
            topic=topic,
            title=title,
            reason=why,
            calls=[proposed_call(change.call, change.function) for change in changes],
            made_at=self._clock.now(),
        )
        self._box.stand(topic, (proposal,))

    async def _finish_old(self, transactions: Transactions, topic: str) -> bool:
        old = [intent for intent in await transactions.pending() if intent.purpose.startswith(f"{topic} ")]
        for intent in old:
            try:
                await transactions.send(intent.purpose, intent.call, limit=self._limit)
            except Reverted as error:
                log.warning("on_chain.given_up", extra={"purpose": intent.purpose, "reason": error.reason})
        if old:
            self._sent()
        return bool(old)

    async def _send(self, transactions: Transactions, topic: str, change: Change) -> None:
        purpose = f"{topic} {change.purpose}"
        if await self._was_just_done(transactions, purpose):
            text = f"{change.title}: was mined a moment ago, and the endpoint does not show it yet; looking again"
            raise Transient(text, retry_after_s=10.0)
        try:
            outcome = await transactions.send(purpose, change.call, limit=self._limit)
        except Reverted as error:
            text = f"{change.title}: the contract refuses: {error.reason or 'it gives no reason'}; nothing was sent"
            raise Transient(text, retry_after_s=60.0) from error
        finally:
            self._sent()
        facts = {"topic": topic, "change": change.title, "tx": "0x" + outcome.tx_hash.hex()}
        if not outcome.succeeded:
            log.warning("on_chain.reverted", extra=facts)
            raise Transient(f"{change.title}: the transaction was mined and reverted", retry_after_s=60.0)
        log.info("on_chain.changed", extra=facts)

    async def _was_just_done(self, transactions: Transactions, purpose: str) -> bool:
        """Whether an endpoint that lags would have the same thing done twice: purposes say from what to what."""
        latest = await transactions.latest(purpose)
        if latest is None or latest.outcome is None or not latest.outcome.succeeded:
            return False
        return self._clock.now() - latest.attempts[-1].signed_at < _LAG_S
