"""Tickets, prices, balances and redemption. README.md tells the promises."""

from livefleet.payments.balance import Account, Balance, Balances
from livefleet.payments.counters import PaymentCounters
from livefleet.payments.errors import (
    BadPayment,
    InsufficientReserve,
    NoRate,
    NoTicketRound,
    StoreFailed,
    StoreUnusable,
)
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
from livefleet.payments.price_explain import Ceiling, Explanation, explain_price
from livefleet.payments.price_gas import DEFAULT_WINDOW_S, SteadyGas
from livefleet.payments.price_keeper import PRICE_FEED_FRESH, FeedReader, PriceKeeper
from livefleet.payments.price_rate import Rate
from livefleet.payments.pricing import PriceList
from livefleet.payments.recipient import default_redeem_gas
from livefleet.payments.records import StoredTicket, TicketState, Totals
from livefleet.payments.recovery import Recovery, RecoveryPool
from livefleet.payments.redeemer import Redeemer, RedemptionReport
from livefleet.payments.redeemer_desk import RedeemerDesk, WrongRecipient
from livefleet.payments.redemption_chain import BrokerRedemption, Redemption, RedemptionChain
from livefleet.payments.sender_monitor import ChainReader, SenderMonitor
from livefleet.payments.service import Payments
from livefleet.payments.shared_redeemer import HandOver, HandOverReport, SharedFloat, TicketRedeemer
from livefleet.payments.sqlite_file import read_tickets
from livefleet.payments.store import SqliteStore, TicketStore
from livefleet.payments.ticket import Ticket, WinningTicket

__all__ = [
    "DEFAULT_WINDOW_S",
    "PRICE_FEED_FRESH",
    "Account",
    "BadPayment",
    "Balance",
    "Balances",
    "BrokerRedemption",
    "Ceiling",
    "ChainReader",
    "Explanation",
    "FeedReader",
    "HandOver",
    "HandOverReport",
    "InsufficientReserve",
    "NoRate",
    "NoTicketRound",
    "OffchainPayments",
    "OnchainPayments",
    "PaymentCounters",
    "Payments",
    "PaymentsSnapshot",
    "PriceKeeper",
    "PriceList",
    "Quote",
    "Rate",
    "ReceivedPayment",
    "Recovery",
    "RecoveryPool",
    "Redeemer",
    "RedeemerDesk",
    "Redemption",
    "RedemptionChain",
    "RedemptionReport",
    "SenderMonitor",
    "SenderSignature",
    "SharedFloat",
    "SqliteStore",
    "SteadyGas",
    "StoreFailed",
    "StoreUnusable",
    "StoredTicket",
    "Ticket",
    "TicketCount",
    "TicketExpiration",
    "TicketParams",
    "TicketRedeemer",
    "TicketState",
    "TicketStore",
    "Totals",
    "WinningTicket",
    "WrongRecipient",
    "default_redeem_gas",
    "explain_price",
    "read_tickets",
]
