"""Payments and chain on one page; the rows about tickets."""

from livefleet.monitoring.dashboards.board import Board, Row, Unit, Variable, panel, stat
from livefleet.monitoring.dashboards.chain import books_row, chain_row, gas_row, rewards_row

__all__ = ["payments_board"]


def payments_board() -> Board:
    """What comes in, what waits, and whether the chain can be reached."""
    return Board(
        "livefleet-payments",
        "livefleet: payments and chain",
        "Tickets from gateways to ETH: received, won, redeemed, lost; rewards; books; gas; the chain's endpoints.",
        (Variable.FLEET, Variable.NODE),
        (_received(), _redeemed(), rewards_row(), books_row(), gas_row(), chain_row()),
        since="now-2d",
    )


def _received() -> Row:
    return Row(
        "Received",
        (
            panel(
                "Expected value",
                "sum by (node) (rate(livepeer_ticket_value_recv{HERE}[$__rate_interval])) * 3600",
                Unit.GWEI,
                "{{node}}",
                "Of the tickets accepted, an hour.",
            ),
            panel(
                "Tickets",
                {
                    "accepted": "sum by (node) (rate(livepeer_tickets_recv{HERE}[$__rate_interval]))",
                    "winning": "sum by (node) (rate(livepeer_winning_tickets_recv{HERE}[$__rate_interval]))",
                },
                Unit.PER_SECOND,
                "{{node}}",
                "Accepted, and those of them that win.",
            ),
            panel(
                "Payments refused",
                "sum by (node, reason) (rate(livefleet_payments_refused_total{HERE}[$__rate_interval]))",
                Unit.PER_SECOND,
                "{{node}} {{reason}}",
                "Not, or not wholly, taken, by what it really was.",
                "PaymentsRefused",
            ),
            panel(
                "Payments refused, go-livepeer's codes",
                "sum by (node, error_code) (rate(livepeer_payment_recv_errors{HERE}[$__rate_interval]))",
                Unit.PER_SECOND,
                "{{node}} {{error_code}}",
                "The same as go-livepeer tells them apart.",
                "PaymentsRefused",
            ),
            panel(
                "Price",
                {
                    "basis": "livefleet_price_wei_per_pixel{HERE}",
                    "last told": "livepeer_transcoding_price{HERE}",
                },
                Unit.WEI,
                "{{node}}",
                "For a pixel: for gateways without a price of their own, and as it was told last.",
            ),
            panel(
                "Dollar's rate",
                "livefleet_price_rate_usd_per_eth{HERE}",
                Unit.DOLLARS,
                "{{node}}",
                "For one ETH, as prices in dollars use it.",
                "PriceStale",
            ),
            panel(
                "Age of the rate",
                "livefleet_price_rate_age_seconds{HERE}",
                Unit.SECONDS,
                "{{node}}",
                "Since the dollar's rate was read last.",
                "PriceStale",
            ),
            panel(
                "Credit of senders",
                "livefleet_balances_wei{HERE} / 1e18",
                Unit.ETH,
                "{{node}}",
                "Paid, and not yet worked for.",
            ),
            panel(
                "Sessions with credit",
                "livefleet_balances{HERE}",
                Unit.NUMBER,
                "{{node}}",
                "Of senders that have paid ahead.",
            ),
            panel(
                "Gateways' float",
                "livepeer_gateway_max_float{HERE}",
                Unit.GWEI,
                "{{node}} {{sender}}",
                "What each gateway is good for.",
            ),
            panel(
                "Commit of payments",
                "histogram_quantile(0.99, sum by (node, le) "
                "(rate(livefleet_store_commit_seconds_bucket{HERE}[$__rate_interval])))",
                Unit.SECONDS,
                "{{node}}",
                "Time to write a batch to the disk: 99 of 100 were done within it.",
                "PaymentsNotWritten",
            ),
            panel(
                "Writes that wait",
                "livefleet_store_writes_waiting{HERE}",
                Unit.NUMBER,
                "{{node}}",
                "For the next commit.",
            ),
            stat(
                "Store at fault",
                "livefleet_store_fault{HERE}",
                Unit.NUMBER,
                "1 after a commit that failed; payments are refused meanwhile.",
                "PaymentsNotWritten",
                legend="{{node}}",
            ),
        ),
    )


def _redeemed() -> Row:
    return Row(
        "Redeemed",
        (
            panel(
                "Winners",
                "livefleet_winning_tickets{HERE}",
                Unit.NUMBER,
                "{{node}} {{state}}",
                "Pending, redeemed and lost.",
                "WinnersStuck",
            ),
            panel(
                "Their face value",
                "livefleet_winning_tickets_wei{HERE} / 1e18",
                Unit.ETH,
                "{{node}} {{state}}",
                "Of pending, redeemed and lost winners.",
            ),
            panel(
                "Paid in a day",
                {
                    "paid": "increase(livefleet_redemptions_paid_wei_total{HERE}[1d]) / 1e18",
                    "short": "increase(livefleet_redemptions_short_wei_total{HERE}[1d]) / 1e18",
                },
                Unit.ETH,
                "{{node}}",
                "What redemptions really paid in 24 hours, and face value that they did not pay.",
            ),
            panel(
                "Winners that wait, by what for",
                "livefleet_tickets_waiting{HERE} > 0",
                Unit.NUMBER,
                "{{node}} {{why}}",
                "At the last look.",
                "WinnersStuck",
            ),
            panel(
                "In flight",
                "livefleet_tickets_in_flight{HERE}",
                Unit.NUMBER,
                "{{node}}",
                "Winners in a transaction that is not settled.",
                "TransactionsStuck",
            ),
            panel(
                "First one expires in",
                "livefleet_ticket_expiry_seconds{HERE} < Inf",
                Unit.SECONDS,
                "{{node}}",
                "Until the last moment of the first pending winner; none without one.",
                "TicketsExpiring",
            ),
            panel(
                "Expiring soon",
                "livefleet_tickets_expiring_soon{HERE}",
                Unit.NUMBER,
                "{{node}}",
                "Winners near their last moment that cannot be redeemed now.",
                "TicketsExpiring",
            ),
            panel(
                "Expiring soon, face value",
                "livefleet_tickets_expiring_soon_wei{HERE} / 1e18",
                Unit.ETH,
                "{{node}}",
                "What is lost if nothing is done.",
                "TicketsExpiring",
            ),
            panel(
                "Lost in a day",
                "sum by (node, reason) (increase(livefleet_tickets_lost_total{HERE}[1d]))",
                Unit.NUMBER,
                "{{node}} {{reason}}",
                "Winners that nobody can redeem any more, by the contract's words.",
                "TicketsLost",
            ),
            panel(
                "Lost in a day, face value",
                "sum by (node, reason) (increase(livefleet_tickets_lost_wei_total{HERE}[1d])) / 1e18",
                Unit.ETH,
                "{{node}} {{reason}}",
                "Of winners that nobody can redeem any more.",
                "TicketsLost",
            ),
            panel(
                "Redemptions that failed",
                "increase(livepeer_ticket_redemption_errors{HERE}[$__rate_interval])",
                Unit.NUMBER,
                "{{node}}",
                "Refused by the chain, or not to be sent.",
                "RedemptionsFail",
            ),
            panel(
                "Gas for a ticket",
                "livefleet_redemption_gas{HERE} > 0",
                Unit.NUMBER,
                "{{node}} {{kind}}",
                "In the last transaction of each kind.",
            ),
            panel(
                "Shared redeemer's queue",
                {
                    "queued": "rate(livefleet_redeemer_tickets_queued_total{HERE}[$__rate_interval])",
                    "refused": "rate(livefleet_redeemer_tickets_refused_total{HERE}[$__rate_interval])",
                },
                Unit.PER_SECOND,
                "{{node}}",
                "Tickets taken from orchestrators, and not.",
                "RedeemerClosed",
            ),
            panel(
                "Floats followed",
                "livefleet_redeemer_floats_followed{HERE}",
                Unit.NUMBER,
                "{{node}}",
                "Senders that orchestrators ask a shared redeemer about.",
            ),
        ),
    )
