"""Transactions of our keys as entries: their gas, and the ETH that they carried.

The agent's own are named by what settled them; all are booked from the receipt on the chain as it is now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from livefleet.chain import Intent, Rpc, checksum_address
from livefleet.kernel import Address, Round
from livefleet.ledger.accounts import Account, AccountKind, Currency, Entry, EntryKind, Posting, posted, wallet
from livefleet.ledger.parties import Parties

__all__ = ["GasSource", "Sent", "read_sent", "settled_up_to", "to_entry", "under_way_up_to"]

_LIMIT = 100  # settled transactions asked for at once


class GasSource(Protocol):
    """Where the transactions of one key are found; `chain.Transactions` is one."""

    @property
    def address(self) -> Address:
        """The key's address."""
        ...

    async def settled(self, after: int, limit: int = 100) -> tuple[Intent, ...]:
        """Intents in the order of settlement, those past place `after`."""
        ...

    async def live(self) -> tuple[Intent, ...]:
        """Intents that are not settled."""
        ...


@dataclass(frozen=True, slots=True)
class Sent:
    """A mined transaction, as far as money goes."""

    tx_hash: bytes
    block: int
    giver: Address
    taker: Address | None  # None: it made a contract
    value: int  # wei
    fee: int  # wei
    succeeded: bool


async def read_sent(rpc: Rpc, hashes: Sequence[bytes]) -> dict[bytes, Sent]:
    """Those of `hashes` that the chain has now. Raises Transient."""
    wanted = [method for tx in hashes for method in _questions(tx)]
    answers = await rpc.batch(wanted) if wanted else []
    found = {}
    for tx, transaction, receipt in zip(hashes, answers[::2], answers[1::2], strict=True):
        if transaction is not None and receipt is not None:
            found[tx] = _sent(transaction, receipt)
    return found


async def settled_up_to(source: GasSource, rpc: Rpc, place: int, last: int) -> tuple[list[tuple[Sent, str]], int]:
    """What was settled past `place` in blocks up to `last`, each with its purpose; and where to go on.

    Raises Transient. A transaction that the chain no longer has is left out: balances tell whether it matters.
    """
    found: list[tuple[Sent, str]] = []
    while intents := await source.settled(place, _LIMIT):
        sent = await read_sent(rpc, [intent.outcome.tx_hash for intent in intents if intent.outcome is not None])
        for intent in intents:
            one = sent.get(intent.outcome.tx_hash) if intent.outcome is not None else None
            if one is not None and one.block > last:
                return found, place
            place = intent.settled
            if one is not None:
                found.append((one, intent.purpose))
        if len(intents) < _LIMIT:
            break
    return found, place


async def under_way_up_to(source: GasSource, rpc: Rpc, last: int) -> list[tuple[Sent, str]]:
    """What the chain has in blocks up to `last` though it is not settled yet, each with its purpose. Raises Transient.

    The key's follower looks at its own times, and may come to a block after the books.
    """
    purposes = {attempt.tx_hash: intent.purpose for intent in await source.live() for attempt in intent.attempts}
    sent = await read_sent(rpc, list(purposes))
    return [(one, purposes[tx]) for tx, one in sent.items() if one.block <= last]


def to_entry(sent: Sent, *, at: int, round_: Round, parties: Parties, purpose: str = "") -> Entry:
    """Gas out of the giver's wallet, where that is ours, and the value from one to the other."""
    postings: list[Posting] = []
    if sent.giver in parties.wallets:
        postings += posted(Currency.ETH, sent.fee, into=Account(AccountKind.GAS), out_of=wallet(sent.giver))
    if sent.succeeded and sent.value and sent.taker is not None:
        postings += posted(
            Currency.ETH, sent.value, into=_holder(sent.taker, parties), out_of=_holder(sent.giver, parties)
        )
    ours = sent.giver in parties.wallets
    return Entry(
        source=f"tx:{sent.tx_hash.hex()}",
        kind=EntryKind.GAS if ours else EntryKind.TRANSFER,
        block=sent.block,
        at=at,
        round=round_,
        postings=tuple(postings),
        tx_hash=sent.tx_hash,
        counterparty=sent.taker if ours else sent.giver,
        note=_words(purpose, sent.succeeded),
        ours=sent.giver if ours else None,
    )


def _words(purpose: str, succeeded: bool) -> str:
    return " ".join(filter(None, (purpose, "" if succeeded else "(failed)")))


def _holder(address: Address, parties: Parties) -> Account:
    return wallet(address) if address in parties.wallets else Account(AccountKind.OUTSIDE, address)


def _questions(tx: bytes) -> list[tuple[str, tuple[str, ...]]]:
    text = "0x" + tx.hex()
    return [("eth_getTransactionByHash", (text,)), ("eth_getTransactionReceipt", (text,))]


def _sent(transaction: Mapping[str, Any], receipt: Mapping[str, Any]) -> Sent:
    taker = transaction.get("to")
    return Sent(
        tx_hash=bytes.fromhex(transaction["hash"][2:]),
        block=int(receipt["blockNumber"], 16),
        giver=checksum_address(bytes.fromhex(transaction["from"][2:])),
        taker=checksum_address(bytes.fromhex(taker[2:])) if taker else None,
        value=int(transaction["value"], 16),
        fee=int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16),
        succeeded=int(receipt["status"], 16) == 1,
    )
