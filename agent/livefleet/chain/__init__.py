"""Everything that speaks to an Ethereum node, and the signatures that the protocol is made of."""

from livefleet.chain.account import LocalSigner, MessageSigner, Signer
from livefleet.chain.activation import ActivationDuty
from livefleet.chain.broadcast import Sent, broadcast, contract_names, prepare
from livefleet.chain.change import Change, DutyPlan, DutyState, OnChainDuty
from livefleet.chain.client import ChainClient, connect
from livefleet.chain.contracts import (
    BondingManager,
    Controller,
    Delegator,
    LivepeerToken,
    Minter,
    PriceFeed,
    RoundsManager,
    ServiceRegistry,
    TicketBroker,
    Transcoder,
)
from livefleet.chain.cuts import Cuts, CutsDuty, cuts_text
from livefleet.chain.declared import DeclaredDuty, declared_duties, orchestrator_of
from livefleet.chain.errors import (
    DatabaseFailed,
    DatabaseUnusable,
    FeedUnusable,
    FeeTooHigh,
    IntentTaken,
    KeyBusy,
    NodeError,
    NoProtocol,
    NotMinedYet,
    OutOfFunds,
    RangeTooLarge,
    Reverted,
    WrongChain,
)
from livefleet.chain.fees_withdrawal import FeesWithdrawalDuty
from livefleet.chain.gas_balance import GasBalance, GasBalances
from livefleet.chain.governance import Governance
from livefleet.chain.hand import Hand
from livefleet.chain.intents import Attempt, Intent, IntentState, IntentStore
from livefleet.chain.intents_sqlite import SqliteIntents
from livefleet.chain.keystore import KeyFile, load_key, make_keystore, read_key_file
from livefleet.chain.last_look import LastLook
from livefleet.chain.lease import HeldLease, LeaseHolder, Leases, SqliteLeases
from livefleet.chain.logs import Log, LogReader
from livefleet.chain.models import Call, ChainHead, FeedAnswer, SenderInfo, SpendLimit, TransactionOutcome
from livefleet.chain.offline import PreparedProposal, SignedProposal, read_proposal, sign_prepared
from livefleet.chain.on_chain import IDLE_S, OnChainReader, OnChainState, Wanted
from livefleet.chain.open_votes import OpenVote, OpenVotes, VoteKind
from livefleet.chain.postgres import Postgres, tls_context
from livefleet.chain.postgres_intents import PostgresIntents
from livefleet.chain.postgres_leases import PostgresLeases
from livefleet.chain.price_feed import feed_addresses, wei_per_unit
from livefleet.chain.proposal import Proposal, ProposedCall, propose, proposed_call
from livefleet.chain.proposal_box import ProposalBox
from livefleet.chain.proposal_words import CallWords, describe
from livefleet.chain.reckoning import Reckoning
from livefleet.chain.remote_signer import RemoteSigner, RemoteSignerSettings
from livefleet.chain.reward import RewardDuty, RewardPlan, RewardStep, should_call_reward
from livefleet.chain.reward_caller import RewardCallerDuty
from livefleet.chain.reward_schedule import RewardPolicy
from livefleet.chain.reward_view import RewardObserved, expected_reward
from livefleet.chain.round_view import RoundView, read_round
from livefleet.chain.rpc import EndpointHealth, EndpointState, Rpc
from livefleet.chain.self_stake import SelfStakeDuty
from livefleet.chain.service_uri import ServiceUriDuty, same_service
from livefleet.chain.signature import checksum_address, keccak256, personal_hash, recover_address, sign_hash, verify
from livefleet.chain.stake_transfer import StakeTransferDuty
from livefleet.chain.standing import Standing, read_standing
from livefleet.chain.transactions import (
    TRANSACTIONS_MOVE,
    TransactionPolicy,
    Transactions,
    WaitingTransaction,
    new_holder,
)
from livefleet.chain.watcher import ChainWatcher

__all__ = [
    "IDLE_S",
    "TRANSACTIONS_MOVE",
    "ActivationDuty",
    "Attempt",
    "BondingManager",
    "Call",
    "CallWords",
    "ChainClient",
    "ChainHead",
    "ChainWatcher",
    "Change",
    "Controller",
    "Cuts",
    "CutsDuty",
    "DatabaseFailed",
    "DatabaseUnusable",
    "DeclaredDuty",
    "Delegator",
    "DutyPlan",
    "DutyState",
    "EndpointHealth",
    "EndpointState",
    "FeeTooHigh",
    "FeedAnswer",
    "FeedUnusable",
    "FeesWithdrawalDuty",
    "GasBalance",
    "GasBalances",
    "Governance",
    "Hand",
    "HeldLease",
    "Intent",
    "IntentState",
    "IntentStore",
    "IntentTaken",
    "KeyBusy",
    "KeyFile",
    "LastLook",
    "LeaseHolder",
    "Leases",
    "LivepeerToken",
    "LocalSigner",
    "Log",
    "LogReader",
    "MessageSigner",
    "Minter",
    "NoProtocol",
    "NodeError",
    "NotMinedYet",
    "OnChainDuty",
    "OnChainReader",
    "OnChainState",
    "OpenVote",
    "OpenVotes",
    "OutOfFunds",
    "Postgres",
    "PostgresIntents",
    "PostgresLeases",
    "PreparedProposal",
    "PriceFeed",
    "Proposal",
    "ProposalBox",
    "ProposedCall",
    "RangeTooLarge",
    "Reckoning",
    "RemoteSigner",
    "RemoteSignerSettings",
    "Reverted",
    "RewardCallerDuty",
    "RewardDuty",
    "RewardObserved",
    "RewardPlan",
    "RewardPolicy",
    "RewardStep",
    "RoundView",
    "RoundsManager",
    "Rpc",
    "SelfStakeDuty",
    "SenderInfo",
    "Sent",
    "ServiceRegistry",
    "ServiceUriDuty",
    "SignedProposal",
    "Signer",
    "SpendLimit",
    "SqliteIntents",
    "SqliteLeases",
    "StakeTransferDuty",
    "Standing",
    "TicketBroker",
    "TransactionOutcome",
    "TransactionPolicy",
    "Transactions",
    "Transcoder",
    "VoteKind",
    "WaitingTransaction",
    "Wanted",
    "WrongChain",
    "broadcast",
    "checksum_address",
    "connect",
    "contract_names",
    "cuts_text",
    "declared_duties",
    "describe",
    "expected_reward",
    "feed_addresses",
    "keccak256",
    "load_key",
    "make_keystore",
    "new_holder",
    "orchestrator_of",
    "personal_hash",
    "prepare",
    "propose",
    "proposed_call",
    "read_key_file",
    "read_proposal",
    "read_round",
    "read_standing",
    "recover_address",
    "same_service",
    "should_call_reward",
    "sign_hash",
    "sign_prepared",
    "tls_context",
    "verify",
    "wei_per_unit",
]
