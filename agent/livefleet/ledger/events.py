"""From the protocol's logs to entries. Pure: what a log means for the books depends on the log alone.

Source of the events: BondingManager, TicketBroker, LivepeerToken. Stake that a delegator moves here is the amount in
`Bond` plus, when it comes from another orchestrator, all that it had bonded there. `TransferBond` stands between an
`Unbond` of the giver and a `Rebond` of the receiver: it moves the lock, they move the stake.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from livefleet.chain import keccak256
from livefleet.chain.abi import Event, to_raw
from livefleet.chain.logs import Log
from livefleet.kernel import Address, Round, to_u256
from livefleet.ledger.accounts import Account, AccountKind, Currency, Entry, EntryKind, Posting, posted, wallet
from livefleet.ledger.parties import Contracts, Parties

__all__ = ["BOND", "EVENTS", "NEW_ROUND", "TRANSFER", "Moment", "book_logs"]

ETH, LPT = Currency.ETH, Currency.LPT

BOND = Event.parse(
    "Bond(address indexed newDelegate, address indexed oldDelegate, address indexed delegator, "
    "uint256 additionalAmount, uint256 bondedAmount)"
)
UNBOND = Event.parse(
    "Unbond(address indexed delegate, address indexed delegator, uint256 unbondingLockId, uint256 amount, "
    "uint256 withdrawRound)"
)
REBOND = Event.parse(
    "Rebond(address indexed delegate, address indexed delegator, uint256 unbondingLockId, uint256 amount)"
)
TRANSFER_BOND = Event.parse(
    "TransferBond(address indexed oldDelegator, address indexed newDelegator, uint256 oldUnbondingLockId, "
    "uint256 newUnbondingLockId, uint256 amount)"
)
WITHDRAW_STAKE = Event.parse(
    "WithdrawStake(address indexed delegator, uint256 unbondingLockId, uint256 amount, uint256 withdrawRound)"
)
WITHDRAW_FEES = Event.parse("WithdrawFees(address indexed delegator, address recipient, uint256 amount)")
REWARD = Event.parse("Reward(address indexed transcoder, uint256 amount)")
SLASHED = Event.parse(
    "TranscoderSlashed(address indexed transcoder, address finder, uint256 penalty, uint256 finderReward)"
)
WINNING_TICKET_TRANSFER = Event.parse(
    "WinningTicketTransfer(address indexed sender, address indexed recipient, uint256 amount)"
)
WINNING_TICKET_REDEEMED = Event.parse(
    "WinningTicketRedeemed(address indexed sender, address indexed recipient, uint256 faceValue, uint256 winProb, "
    "uint256 senderNonce, uint256 recipientRand, bytes auxData)"
)
SENDER_WITHDRAWAL = Event.parse("Withdrawal(address indexed sender, uint256 deposit, uint256 reserve)")
TRANSFER = Event.parse("Transfer(address indexed from, address indexed to, uint256 value)")
NEW_ROUND = Event.parse("NewRound(uint256 indexed round, bytes32 blockHash)")

EVENTS = (
    BOND, UNBOND, REBOND, TRANSFER_BOND, WITHDRAW_STAKE, WITHDRAW_FEES, REWARD, SLASHED,
    WINNING_TICKET_TRANSFER, WINNING_TICKET_REDEEMED, SENDER_WITHDRAWAL, TRANSFER,
)  # fmt: skip
"""What is asked for; NEW_ROUND besides."""

FEES, STAKE, UNBONDING = Account(AccountKind.FEES), Account(AccountKind.STAKE), Account(AccountKind.UNBONDING)
POOL, MINTED = Account(AccountKind.POOL), Account(AccountKind.MINTED)


@dataclass(frozen=True, slots=True)
class Moment:
    """When a log happened."""

    block: int
    at: int  # unix seconds
    round: Round


def book_logs(
    logs: Sequence[Log], when: Callable[[Log], Moment], parties: Parties, contracts: Contracts
) -> list[Entry]:
    """The entries of logs in chain order; logs that mean nothing to these parties give none."""
    found: list[Entry] = []
    for log in logs:
        entry = _book(log, when(log), parties, contracts)
        if entry is None:
            continue
        if entry.kind is EntryKind.TICKET:
            _name_ticket(found, entry)
        found.append(entry)
    return found


def _book(log: Log, when: Moment, parties: Parties, contracts: Contracts) -> Entry | None:
    if log.address == contracts.token:
        return _token(log, when, parties, contracts)
    if log.address == contracts.broker:
        return _broker(log, when, parties, contracts)
    if log.address == contracts.bonding:
        return _bonding(log, when, parties, contracts)
    return None


def _token(log: Log, when: Moment, parties: Parties, contracts: Contracts) -> Entry | None:
    if not TRANSFER.matches(log.topics):
        return None
    giver, taker, amount = TRANSFER.decode(log.topics, log.data)
    ours = [address for address in (giver, taker) if address in parties.wallets]
    if not ours:
        return None
    moved = posted(LPT, amount, into=_holder(taker, parties), out_of=_holder(giver, parties))
    other = taker if giver in parties.wallets else giver
    note = "protocol" if other == contracts.minter else ""
    return _entry(log, when, EntryKind.TRANSFER, moved, counterparty=other, note=note)


def _broker(log: Log, when: Moment, parties: Parties, contracts: Contracts) -> Entry | None:
    us = parties.orchestrator
    if WINNING_TICKET_TRANSFER.matches(log.topics):
        sender, recipient, amount = WINNING_TICKET_TRANSFER.decode(log.topics, log.data)
        if recipient != us:
            return None
        paid = posted(ETH, amount, into=POOL, out_of=Account(AccountKind.GATEWAY, sender))
        return _entry(log, when, EntryKind.FEE, paid, counterparty=sender)
    if WINNING_TICKET_REDEEMED.matches(log.topics):
        sender, recipient, face, win_prob, nonce, rand, aux = WINNING_TICKET_REDEEMED.decode(log.topics, log.data)
        if recipient != us:
            return None
        ticket = keccak256(
            to_raw(recipient), to_raw(sender), to_u256(face), to_u256(win_prob), to_u256(nonce),
            keccak256(to_u256(rand)), aux,
        )  # fmt: skip
        return _entry(log, when, EntryKind.TICKET, (), counterparty=sender, face_value=face, ticket=ticket)
    if SENDER_WITHDRAWAL.matches(log.topics):
        sender, deposit, reserve = SENDER_WITHDRAWAL.decode(log.topics, log.data)
        if sender in parties.wallets:
            back = posted(ETH, deposit + reserve, into=wallet(sender), out_of=_outside(contracts.broker))
            return _entry(log, when, EntryKind.TRANSFER, back, counterparty=contracts.broker, note="protocol")
    return None


def _bonding(log: Log, when: Moment, parties: Parties, contracts: Contracts) -> Entry | None:
    us, protocol = parties.orchestrator, _outside(contracts.minter)
    if BOND.matches(log.topics):
        return _bond(log, when, BOND.decode(log.topics, log.data), us, protocol)
    for event, book in ((UNBOND, _unbond), (REBOND, _rebond), (TRANSFER_BOND, _transfer_bond)):
        if event.matches(log.topics):
            return book(log, when, event.decode(log.topics, log.data), us)
    if REWARD.matches(log.topics):
        who, amount = REWARD.decode(log.topics, log.data)
        return None if who != us else _entry(log, when, EntryKind.REWARD, posted(LPT, amount, into=POOL, out_of=MINTED))
    if WITHDRAW_STAKE.matches(log.topics):
        who, _, amount, _ = WITHDRAW_STAKE.decode(log.topics, log.data)
        moved = posted(LPT, amount, into=protocol, out_of=UNBONDING)
        return None if who != us else _entry(log, when, EntryKind.STAKE_WITHDRAWAL, moved)
    if WITHDRAW_FEES.matches(log.topics):
        who, recipient, amount = WITHDRAW_FEES.decode(log.topics, log.data)
        return _fees_taken(log, when, who, recipient, amount, parties, contracts)
    if SLASHED.matches(log.topics):
        who, finder, penalty, _ = SLASHED.decode(log.topics, log.data)
        lost = posted(LPT, penalty, into=Account(AccountKind.SLASHED), out_of=STAKE)
        return None if who != us else _entry(log, when, EntryKind.SLASHING, lost, counterparty=finder)
    return None


def _fees_taken(
    log: Log, when: Moment, who: Address, recipient: Address, amount: int, parties: Parties, contracts: Contracts
) -> Entry | None:
    if who == parties.orchestrator:
        taken = posted(ETH, amount, into=_holder(recipient, parties), out_of=FEES)
        return _entry(log, when, EntryKind.FEE_WITHDRAWAL, taken, counterparty=recipient)
    if recipient in parties.wallets:
        got = posted(ETH, amount, into=wallet(recipient), out_of=_outside(contracts.minter))
        return _entry(log, when, EntryKind.TRANSFER, got, counterparty=who, note="fees of another delegator")
    return None


def _bond(log: Log, when: Moment, values: tuple[Any, ...], us: Address, protocol: Account) -> Entry | None:
    to, before, who, added, bonded = values
    if who == us:
        return _entry(log, when, EntryKind.BOND, posted(LPT, added, into=STAKE, out_of=protocol), counterparty=to)
    moved = 0
    if to == us:
        moved = added if before == us else bonded
    elif before == us:
        moved = -(bonded - added)
    return _delegation(log, when, who, moved, "bond" if moved >= 0 else "left")


def _unbond(log: Log, when: Moment, values: tuple[Any, ...], us: Address) -> Entry | None:
    to, who, _, amount, _ = values
    if who == us:
        moved = posted(LPT, amount, into=UNBONDING, out_of=STAKE)
        return _entry(log, when, EntryKind.UNBOND, moved, counterparty=to)
    return _delegation(log, when, who, -amount if to == us else 0, "unbond")


def _rebond(log: Log, when: Moment, values: tuple[Any, ...], us: Address) -> Entry | None:
    to, who, _, amount = values
    if who == us:
        moved = posted(LPT, amount, into=STAKE, out_of=UNBONDING)
        return _entry(log, when, EntryKind.REBOND, moved, counterparty=to)
    return _delegation(log, when, who, amount if to == us else 0, "rebond")


def _transfer_bond(log: Log, when: Moment, values: tuple[Any, ...], us: Address) -> Entry | None:
    giver, taker, _, _, amount = values
    if us not in (giver, taker) or giver == taker:
        return None
    other = taker if giver == us else giver
    into, out_of = (_outside(taker), UNBONDING) if giver == us else (UNBONDING, _outside(giver))
    moved = posted(LPT, amount, into=into, out_of=out_of)
    return _entry(log, when, EntryKind.BOND_TRANSFER, moved, counterparty=other)


def _delegation(log: Log, when: Moment, who: Address, moved: int, note: str) -> Entry | None:
    if moved == 0:
        return None
    change = posted(LPT, moved, into=POOL, out_of=Account(AccountKind.DELEGATORS, who))
    return _entry(log, when, EntryKind.DELEGATION, change, counterparty=who, note=note)


def _name_ticket(before: list[Entry], ticket: Entry) -> None:
    """A redemption that pays says so just before it says which ticket: give the fee its ticket."""
    if not before or before[-1].kind is not EntryKind.FEE or before[-1].tx_hash != ticket.tx_hash:
        return
    fee = before[-1]
    if fee.counterparty == ticket.counterparty and not fee.ticket:
        before[-1] = Entry(
            source=fee.source, kind=fee.kind, block=fee.block, at=fee.at, round=fee.round, postings=fee.postings,
            tx_hash=fee.tx_hash, counterparty=fee.counterparty, note=fee.note, ticket=ticket.ticket,
        )  # fmt: skip


def _holder(address: Address, parties: Parties) -> Account:
    return wallet(address) if address in parties.wallets else _outside(address)


def _outside(address: Address) -> Account:
    return Account(AccountKind.OUTSIDE, address)


def _entry(
    log: Log,
    when: Moment,
    kind: EntryKind,
    postings: tuple[Posting, ...],
    *,
    counterparty: Address | None = None,
    note: str = "",
    face_value: int | None = None,
    ticket: bytes = b"",
) -> Entry:
    return Entry(
        source=f"log:{log.tx_hash.hex()}:{log.log_index}",
        kind=kind,
        block=when.block,
        at=when.at,
        round=when.round,
        postings=postings,
        tx_hash=log.tx_hash,
        counterparty=counterparty,
        note=note,
        face_value=face_value,
        ticket=ticket,
    )
