"""Tickets, prices, balances and redemption. README.md tells the promises."""

from livefleet.payments.balance import Account, Balance, Balances
from livefleet.payments.broker_redemption import BrokerRedemption
from livefleet.payments.counters import PaymentCounters
from livefleet.payments.decision import Why
from livefleet.payments.departure import Departure, DepartureKind, PoolPlace, blocks_to_the_end, departure_of
from livefleet.payments.device_time import DeviceUse
from livefleet.payments.errors import (
    BadPayment,
    InsufficientReserve,
    LeavingActiveSet,
    NoRate,
    NoTicketRound,
    StoreFailed,
    StoreUnusable,
)
from livefleet.payments.fleet_monitor import FleetMonitor
from livefleet.payments.losses import Loss, Losses
from livefleet.payments.model_accounts import (
    MODEL_ACCOUNTS_FILE,
    OTHER_MODELS,
    WORKERS,
    ModelAccount,
    ModelAccounts,
)
from livefleet.payments.model_accounts_file import ModelIncome
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
from livefleet.payments.pool_place import PoolPlaceReader
from livefleet.payments.postgres_store import PostgresStore, SharedWinners
from livefleet.payments.price_explain import Ceiling, Explanation, explain_price
from livefleet.payments.price_gas import DEFAULT_WINDOW_S, SteadyGas
from livefleet.payments.price_keeper import PRICE_FEED_FRESH, FeedReader, PriceKeeper
from livefleet.payments.price_rate import Rate
from livefleet.payments.pricing import PriceList
from livefleet.payments.recipient import default_redeem_gas
from livefleet.payments.records import StoredTicket, TicketState, Totals
from livefleet.payments.recovery import Recovery, RecoveryPool
from livefleet.payments.redeemed_first import redeemed_first
from livefleet.payments.redeemer import Redeemer
from livefleet.payments.redeemer_desk import RedeemerDesk, WrongRecipient
from livefleet.payments.redeeming_turn import RedeemingTurn, TurnTaking, redeeming_lease
from livefleet.payments.redemption_chain import Mined, Redemption, RedemptionChain, Survey, Trial
from livefleet.payments.redemption_plan import SenderFunds
from livefleet.payments.redemption_policy import RedemptionPolicy
from livefleet.payments.redemption_report import RedemptionReport
from livefleet.payments.round_times import RoundTimes
from livefleet.payments.sender_monitor import ChainReader, SenderMonitor
from livefleet.payments.service import Payments
from livefleet.payments.shared_redeemer import HandOver, HandOverReport, SharedFloat, TicketRedeemer
from livefleet.payments.sqlite_file import read_tickets
from livefleet.payments.sqlite_store import SqliteStore
from livefleet.payments.store import StoreHealth, TicketStore, Winners
from livefleet.payments.ticket import Ticket, WinningTicket

__all__ = [
    "DEFAULT_WINDOW_S",
    "MODEL_ACCOUNTS_FILE",
    "OTHER_MODELS",
    "PRICE_FEED_FRESH",
    "WORKERS",
    "Account",
    "BadPayment",
    "Balance",
    "Balances",
    "BrokerRedemption",
    "Ceiling",
    "ChainReader",
    "Departure",
    "DepartureKind",
    "DeviceUse",
    "Explanation",
    "FeedReader",
    "FleetMonitor",
    "HandOver",
    "HandOverReport",
    "InsufficientReserve",
    "LeavingActiveSet",
    "Loss",
    "Losses",
    "Mined",
    "ModelAccount",
    "ModelAccounts",
    "ModelIncome",
    "NoRate",
    "NoTicketRound",
    "OffchainPayments",
    "OnchainPayments",
    "PaymentCounters",
    "Payments",
    "PaymentsSnapshot",
    "PoolPlace",
    "PoolPlaceReader",
    "PostgresStore",
    "PriceKeeper",
    "PriceList",
    "Quote",
    "Rate",
    "ReceivedPayment",
    "Recovery",
    "RecoveryPool",
    "Redeemer",
    "RedeemerDesk",
    "RedeemingTurn",
    "Redemption",
    "RedemptionChain",
    "RedemptionPolicy",
    "RedemptionReport",
    "RoundTimes",
    "SenderFunds",
    "SenderMonitor",
    "SenderSignature",
    "SharedFloat",
    "SharedWinners",
    "SqliteStore",
    "SteadyGas",
    "StoreFailed",
    "StoreHealth",
    "StoreUnusable",
    "StoredTicket",
    "Survey",
    "Ticket",
    "TicketCount",
    "TicketExpiration",
    "TicketParams",
    "TicketRedeemer",
    "TicketState",
    "TicketStore",
    "Totals",
    "Trial",
    "TurnTaking",
    "Why",
    "Winners",
    "WinningTicket",
    "WrongRecipient",
    "blocks_to_the_end",
    "default_redeem_gas",
    "departure_of",
    "explain_price",
    "read_tickets",
    "redeemed_first",
    "redeeming_lease",
]
