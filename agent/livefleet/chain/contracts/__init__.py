"""One typed reader a contract, each beside the fragments of the interface that it calls."""

from livefleet.chain.contracts.bonding_manager import BondingManager, Delegator, Transcoder
from livefleet.chain.contracts.bonding_votes import BondingVotes
from livefleet.chain.contracts.contract import Contract
from livefleet.chain.contracts.controller import Controller, contract_id
from livefleet.chain.contracts.governor import Governor, ProposalCreated, ProposalState, Support
from livefleet.chain.contracts.livepeer_token import LivepeerToken
from livefleet.chain.contracts.minter import Minter
from livefleet.chain.contracts.poll import Choice, Poll, PollCreated, PollCreator
from livefleet.chain.contracts.price_feed import PriceFeed
from livefleet.chain.contracts.rounds_manager import RoundsManager
from livefleet.chain.contracts.service_registry import ServiceRegistry
from livefleet.chain.contracts.ticket_broker import TicketBroker
from livefleet.chain.contracts.treasury import Treasury

__all__ = [
    "BondingManager",
    "BondingVotes",
    "Choice",
    "Contract",
    "Controller",
    "Delegator",
    "Governor",
    "LivepeerToken",
    "Minter",
    "Poll",
    "PollCreated",
    "PollCreator",
    "PriceFeed",
    "ProposalCreated",
    "ProposalState",
    "RoundsManager",
    "ServiceRegistry",
    "Support",
    "TicketBroker",
    "Transcoder",
    "Treasury",
    "contract_id",
]
