"""Tickets, prices, balances and redemption. README.md tells the promises."""

from livefleet.payments.balance import Account, Balance, Balances
from livefleet.payments.errors import BadPayment, InsufficientReserve, NoTicketRound, StoreFailed, StoreUnusable
from livefleet.payments.models import (
    PaymentsSnapshot,
    Quote,
    ReceivedPayment,
    SenderSignature,
    TicketCount,
    TicketExpiration,
    TicketParams,
)
from livefleet.payments.offchain import OffchainPayments
from livefleet.payments.onchain import OnchainPayments
from livefleet.payments.pricing import PriceList
from livefleet.payments.recipient import default_redeem_gas
from livefleet.payments.records import StoredTicket, TicketState, Totals
from livefleet.payments.redeemer import Redeemer, RedemptionReport
from livefleet.payments.redemption_chain import BrokerRedemption, Redemption, RedemptionChain
from livefleet.payments.sender_monitor import ChainReader, SenderMonitor
from livefleet.payments.service import Payments
from livefleet.payments.sqlite_file import read_tickets
from livefleet.payments.store import SqliteStore, TicketStore
from livefleet.payments.ticket import Ticket, WinningTicket

__all__ = [
    "Account",
    "BadPayment",
    "Balance",
    "Balances",
    "BrokerRedemption",
    "ChainReader",
    "InsufficientReserve",
    "NoTicketRound",
    "OffchainPayments",
    "OnchainPayments",
    "Payments",
    "PaymentsSnapshot",
    "PriceList",
    "Quote",
    "ReceivedPayment",
    "Redeemer",
    "Redemption",
    "RedemptionChain",
    "RedemptionReport",
    "SenderMonitor",
    "SenderSignature",
    "SqliteStore",
    "StoreFailed",
    "StoreUnusable",
    "StoredTicket",
    "Ticket",
    "TicketCount",
    "TicketExpiration",
    "TicketParams",
    "TicketState",
    "TicketStore",
    "Totals",
    "WinningTicket",
    "default_redeem_gas",
    "read_tickets",
]
