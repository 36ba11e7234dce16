"""The inputs of a yield: the chain's rates of now, and what the books tell of the last ninety days."""

from dataclasses import dataclass
from fractions import Fraction

from livefleet.chain import ChainClient
from livefleet.chain.contracts.bonding_manager import (
    GET_TRANSCODER,
    PENDING_STAKE,
    TOTAL_ACTIVE_STAKE,
    TRANSCODER_TOTAL_STAKE,
    TREASURY_REWARD_CUT_RATE,
)
from livefleet.chain.contracts.minter import GLOBAL_TOTAL_SUPPLY, INFLATION, INFLATION_CHANGE
from livefleet.chain.contracts.rounds_manager import CURRENT_ROUND, ROUND_LENGTH
from livefleet.kernel import Address, BadInput, Round
from livefleet.ledger.accounts import AccountKind, EntryKind
from livefleet.ledger.combined import Combined
from livefleet.ledger.returns import YieldInputs

__all__ = ["Rates", "TrackRecord", "read_rates", "track_record"]

_UNIT = 10**18
_NINETY_DAYS_S = 90 * 86_400
_ROUNDS = 90


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """What the books tell. ETH."""

    fees: Fraction  # paid by gateways in the last ninety days, delegators' part included
    gas: Fraction  # spent in them
    days: Fraction  # of these that the books cover
    rounds: int  # whole ones, ninety at most, that reward calls were counted over
    rewarded: int  # of them

    @property
    def reward_call_ratio(self) -> Fraction:
        """All of them where no whole round is known yet."""
        return Fraction(self.rewarded, self.rounds) if self.rounds else Fraction(1)


@dataclass(frozen=True, slots=True)
class Rates:
    """What the chain says now. LPT; shares in parts of 1."""

    at: int  # unix seconds
    round: Round
    total_stake: Fraction
    own_stake: Fraction
    fee_share: Fraction
    reward_cut: Fraction
    treasury_cut: Fraction
    inflation: Fraction
    inflation_change: Fraction
    total_supply: Fraction
    total_active_stake: Fraction
    round_length: int

    def inputs(
        self, record: TrackRecord, *, principle: Fraction, lpt_price_eth: Fraction | None, l1_block_s: float
    ) -> YieldInputs:
        """All that goes into the formula. Raises BadInput where nothing is staked anywhere."""
        if not self.total_active_stake:
            raise BadInput("nobody is active on this chain: there is no yield to tell")
        return YieldInputs(
            principle=principle,
            total_stake=self.total_stake,
            fees_90_days=record.fees,
            fee_share=self.fee_share,
            lpt_price_eth=lpt_price_eth,
            inflation=self.inflation,
            inflation_change=self.inflation_change,
            total_supply=self.total_supply,
            total_active_stake=self.total_active_stake,
            round_length=self.round_length,
            reward_call_ratio=record.reward_call_ratio,
            reward_cut=self.reward_cut,
            treasury_cut=self.treasury_cut,
            block_s=Fraction(str(l1_block_s)),
        )


def track_record(books: Combined, *, now: int, this_round: Round) -> TrackRecord:
    """The last ninety days before `now` and ninety rounds before `this_round`, as far as the books reach. Pure."""
    begun = min((line.entry.at for line in books.lines), default=now)
    first_round = min((line.entry.round for line in books.lines), default=this_round) + 1  # the first whole one
    since = now - _NINETY_DAYS_S
    fees = gas = 0
    rewarded: set[int] = set()
    first_counted = max(first_round, this_round - _ROUNDS)
    for entry in (line.entry for line in books.lines):
        if entry.kind is EntryKind.REWARD and first_counted <= entry.round < this_round:
            rewarded.add(entry.round)
        if entry.at < since:
            continue
        for posting in entry.postings:
            if entry.kind is EntryKind.FEE and posting.account.kind is AccountKind.POOL:
                fees += posting.amount
            elif entry.kind is EntryKind.GAS and posting.account.kind is AccountKind.GAS:
                gas += posting.amount
    return TrackRecord(
        fees=Fraction(fees, _UNIT),
        gas=Fraction(gas, _UNIT),
        days=Fraction(now - max(begun, since), 86_400),
        rounds=max(0, this_round - first_counted),
        rewarded=len(rewarded),
    )


async def read_rates(client: ChainClient, orchestrator: Address) -> Rates:
    """Read all at one block. Raises Transient."""
    block = await client.rpc.block_number()
    bonding, minter, rounds = client.bonding, client.minter, client.rounds
    answers = await client.rpc.read_all(
        [
            bonding.read(GET_TRANSCODER, orchestrator),
            bonding.read(TRANSCODER_TOTAL_STAKE, orchestrator),
            bonding.read(PENDING_STAKE, orchestrator, 0),
            bonding.read(TREASURY_REWARD_CUT_RATE),
            minter.read(INFLATION),
            minter.read(INFLATION_CHANGE),
            minter.read(GLOBAL_TOTAL_SUPPLY),
            bonding.read(TOTAL_ACTIVE_STAKE),
            rounds.read(ROUND_LENGTH),
            rounds.read(CURRENT_ROUND),
        ],
        block=block,
    )
    (raw,) = await client.rpc.batch([("eth_getBlockByNumber", (hex(block), False))])
    _, reward_cut, fee_share, *_ = answers[0]
    total, own, treasury, inflation, change, supply, active, length, round_ = (int(answer[0]) for answer in answers[1:])
    return Rates(
        at=int(raw["timestamp"], 16),
        round=Round(round_),
        total_stake=Fraction(total, _UNIT),
        own_stake=Fraction(own, _UNIT),
        fee_share=Fraction(fee_share, 10**6),
        reward_cut=Fraction(reward_cut, 10**6),
        treasury_cut=Fraction(treasury, 10**27),
        inflation=Fraction(inflation, 10**9),
        inflation_change=Fraction(change, 10**9),
        total_supply=Fraction(supply, _UNIT),
        total_active_stake=Fraction(active, _UNIT),
        round_length=length,
    )
