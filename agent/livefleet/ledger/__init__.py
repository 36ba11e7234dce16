"""Double-entry books of an orchestrator, carried forward from the chain. README.md tells the promises."""

from livefleet.ledger.accounts import Account, AccountKind, Currency, Entry, EntryKind, Posting, posted, wallet
from livefleet.ledger.amounts import coins
from livefleet.ledger.book import Checked, Difference, Ledger
from livefleet.ledger.combined import Combined, Window, combine
from livefleet.ledger.delegators import Delegators, read_delegators
from livefleet.ledger.dump import Books, dump_lines, parse_dump, ticket_line
from livefleet.ledger.earnings import By, Earnings, earnings, total
from livefleet.ledger.fiat import FiatPrices, read_prices
from livefleet.ledger.file import Balances, Closing, read_ledger
from livefleet.ledger.history import History, read_history
from livefleet.ledger.news import News, NewsWatch
from livefleet.ledger.parties import Parties
from livefleet.ledger.returns import (
    Horizon,
    InflationTrend,
    OperatorYield,
    Yield,
    YieldInputs,
    delegator_yield,
    operator_yield,
)
from livefleet.ledger.subgraph import SubgraphClient
from livefleet.ledger.tax import TaxEvent, sums, tax_events
from livefleet.ledger.track_record import read_rates, track_record

__all__ = [
    "Account",
    "AccountKind",
    "Balances",
    "Books",
    "By",
    "Checked",
    "Closing",
    "Combined",
    "Currency",
    "Delegators",
    "Difference",
    "Earnings",
    "Entry",
    "EntryKind",
    "FiatPrices",
    "History",
    "Horizon",
    "InflationTrend",
    "Ledger",
    "News",
    "NewsWatch",
    "OperatorYield",
    "Parties",
    "Posting",
    "SubgraphClient",
    "TaxEvent",
    "Window",
    "Yield",
    "YieldInputs",
    "coins",
    "combine",
    "delegator_yield",
    "dump_lines",
    "earnings",
    "operator_yield",
    "parse_dump",
    "posted",
    "read_delegators",
    "read_history",
    "read_ledger",
    "read_prices",
    "read_rates",
    "sums",
    "tax_events",
    "ticket_line",
    "total",
    "track_record",
    "wallet",
]
