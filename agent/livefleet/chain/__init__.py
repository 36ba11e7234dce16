"""Everything that speaks to an Ethereum node, and the signatures that the protocol is made of."""

from livefleet.chain.account import LocalSigner, MessageSigner, Signer, load_key
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
from livefleet.chain.errors import FeedUnusable, FeeTooHigh, NodeError, NoProtocol, OutOfFunds, Reverted, WrongChain
from livefleet.chain.intents import Intent, IntentState
from livefleet.chain.models import Call, ChainHead, FeedAnswer, SenderInfo, TransactionOutcome
from livefleet.chain.price_feed import feed_addresses, wei_per_unit
from livefleet.chain.reward import RewardDuty, RewardObserved, RewardPlan, RewardStep, should_call_reward
from livefleet.chain.rpc import EndpointHealth, Rpc
from livefleet.chain.service_uri import ServiceUriDuty, same_service
from livefleet.chain.signature import checksum_address, keccak256, personal_hash, recover_address, sign_hash, verify
from livefleet.chain.transactions import TransactionPolicy, Transactions
from livefleet.chain.watcher import ChainWatcher

__all__ = [
    "BondingManager",
    "Call",
    "ChainClient",
    "ChainHead",
    "ChainWatcher",
    "Controller",
    "Delegator",
    "EndpointHealth",
    "FeeTooHigh",
    "FeedAnswer",
    "FeedUnusable",
    "Intent",
    "IntentState",
    "LivepeerToken",
    "LocalSigner",
    "MessageSigner",
    "Minter",
    "NoProtocol",
    "NodeError",
    "OutOfFunds",
    "PriceFeed",
    "Reverted",
    "RewardDuty",
    "RewardObserved",
    "RewardPlan",
    "RewardStep",
    "RoundsManager",
    "Rpc",
    "SenderInfo",
    "ServiceRegistry",
    "ServiceUriDuty",
    "Signer",
    "TicketBroker",
    "TransactionOutcome",
    "TransactionPolicy",
    "Transactions",
    "Transcoder",
    "WrongChain",
    "checksum_address",
    "connect",
    "feed_addresses",
    "keccak256",
    "load_key",
    "personal_hash",
    "recover_address",
    "same_service",
    "should_call_reward",
    "sign_hash",
    "verify",
    "wei_per_unit",
]
