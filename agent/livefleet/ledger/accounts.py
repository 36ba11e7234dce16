"""The words of the books: currencies, accounts, and entries whose postings add up to nothing."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from livefleet.kernel import Address, Round

__all__ = ["Account", "AccountKind", "Currency", "Entry", "EntryKind", "Posting", "posted", "wallet"]


class Currency(StrEnum):
    """What amounts are in: wei or LPTU, both 10**-18 of the coin."""

    ETH = "ETH"
    LPT = "LPT"


class AccountKind(StrEnum):
    """What an account stands for. The first four are ours and have a balance on chain."""

    WALLET = "wallet"  # ETH or LPT of one of our addresses
    FEES = "fees"  # ETH that the orchestrator can withdraw: pendingFees
    STAKE = "stake"  # LPT of the orchestrator itself: pendingStake
    UNBONDING = "unbonding"  # LPT of the orchestrator in unbonding locks
    POOL = "pool"  # at our orchestrator for its delegators: LPT delegated to it; ETH passed on to them
    GATEWAY = "gateway"  # fees came from here; the party is the sender
    MINTED = "minted"  # rewards came from here, the treasury's part not counted
    DELEGATORS = "delegators"  # what others bonded here and took away again
    GAS = "gas"  # what transactions cost
    OUTSIDE = "outside"  # transfers from and to others, contracts of the protocol among them
    ELSEWHERE = "elsewhere"  # earned on own stake that is delegated to another orchestrator
    SLASHED = "slashed"
    OPENING = "opening"  # what was there when the books were opened
    UNEXPLAINED = "unexplained"  # a wallet moved and nothing on chain that was looked at says why


@dataclass(frozen=True, slots=True)
class Account:
    """One account; `party` tells apart those of one kind."""

    kind: AccountKind
    party: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.party}" if self.party else self.kind.value

    @classmethod
    def parse(cls, text: str) -> "Account":
        """The account that `str` wrote."""
        kind, _, party = text.partition(":")
        return cls(AccountKind(kind), party)


@dataclass(frozen=True, slots=True)
class Posting:
    """A change of one account; what flows in is positive."""

    account: Account
    currency: Currency
    amount: int  # wei or LPTU


class EntryKind(StrEnum):
    """What happened."""

    OPENING = "opening"
    FEE = "fee"  # a winning ticket paid, whole
    FEE_SHARE = "fee-share"  # what of it is the orchestrator's own
    TICKET = "ticket"  # a winning ticket was used up; says its face value, moves nothing
    REWARD = "reward"  # a reward call's tokens, whole, without the treasury's part
    REWARD_SHARE = "reward-share"  # what of it is the orchestrator's own
    BOND = "bond"
    UNBOND = "unbond"
    REBOND = "rebond"
    BOND_TRANSFER = "bond-transfer"  # stake given to or received from another account
    DELEGATION = "delegation"  # a delegator came, went, or changed its stake
    STAKE_WITHDRAWAL = "stake-withdrawal"
    FEE_WITHDRAWAL = "fee-withdrawal"
    SLASHING = "slashing"
    TRANSFER = "transfer"
    GAS = "gas"  # a transaction of one of our keys: its gas and the ETH that it carried
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event and its postings, which add up to zero in each currency. Raises ValueError where they do not."""

    source: str  # where on chain it stands; an entry is booked once a source
    kind: EntryKind
    block: int  # L2 block
    at: int  # the block's unix seconds
    round: Round  # last initialised one at that block
    postings: tuple[Posting, ...] = ()
    tx_hash: bytes = b""  # empty: no single transaction is behind it
    counterparty: Address | None = None
    note: str = ""
    face_value: int | None = None  # wei; of a ticket
    ticket: bytes = b""  # its hash
    ours: Address | None = None  # whose transaction, for gas

    def __post_init__(self) -> None:
        left = {currency: amount for currency, amount in _sums(self.postings).items() if amount}
        if left:
            raise ValueError(f"{self.source}: postings do not balance: {left}")


def wallet(address: Address) -> Account:
    """The account of one of our addresses."""
    return Account(AccountKind.WALLET, address)


def posted(currency: Currency, amount: int, *, into: Account, out_of: Account) -> tuple[Posting, ...]:
    """`amount` moved from one account into another; nothing at all for zero."""
    if amount == 0:
        return ()
    return Posting(into, currency, amount), Posting(out_of, currency, -amount)


def _sums(postings: Iterable[Posting]) -> Counter[Currency]:
    sums: Counter[Currency] = Counter()
    for posting in postings:
        sums[posting.currency] += posting.amount
    return sums
