"""Payments and chain: tickets, redemptions, rewards, books, gas, endpoints."""

from livefleet.monitoring.dashboards.board import Board, Row, Unit, Variable, panel, stat, states

__all__ = ["payments_board"]


def payments_board() -> Board:
    """What comes in, what waits, and whether the chain can be reached."""
    return Board(
        "livefleet-payments",
        "livefleet: payments and chain",
        "Tickets from gateways to ETH: received, won, redeemed, lost; rewards; books; gas; the chain's endpoints.",
        (Variable.FLEET, Variable.NODE),
        (_received(), _redeemed(), _rewards(), _books(), _gas(), _chain()),
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


def _rewards() -> Row:
    return Row(
        "Rewards and the active set",
        (
            stat(
                "Reward is owed",
                "livefleet_reward_owed{HERE}",
                Unit.NUMBER,
                "1 while the round's reward may be called and is not.",
                "RewardNearDeadline",
                legend="{{node}}",
            ),
            stat(
                "Round ends in",
                "livefleet_reward_round_left_seconds{HERE}",
                Unit.SECONDS,
                "And its reward with it.",
                "RewardNearDeadline",
                legend="{{node}}",
            ),
            stat(
                "Rounds missed",
                "livefleet_reward_rounds_missed{HERE}",
                Unit.NUMBER,
                "Of the last 30, those that ended without a reward that was due.",
                "RewardMissed",
                legend="{{node}}",
            ),
            panel(
                "Rounds",
                {
                    "now": "livefleet_chain_round_number{HERE}",
                    "rewarded": "livefleet_reward_last_round_number{HERE}",
                },
                Unit.NUMBER,
                "{{node}}",
                "The chain's, and the last one in which the orchestrator's reward was called.",
            ),
            panel(
                "Reward calls in a day",
                {
                    "mined": "increase(livefleet_reward_calls_total{HERE}[1d])",
                    "failed": "increase(livepeer_reward_call_errors{HERE}[1d])",
                },
                Unit.NUMBER,
                "{{node}}",
                "Calls of the last 24 hours that were mined, and that failed.",
                "RewardCallsFail",
            ),
            panel(
                "Rank in the pool",
                {
                    "rank": "livefleet_active_set_rank{HERE}",
                    "members": "livefleet_active_set_members{HERE}",
                },
                Unit.NUMBER,
                "{{node}}",
                "1 is the highest stake; no rank outside the pool.",
                "ActiveSetDanger",
            ),
            panel(
                "Stake above the cut-off",
                {
                    "margin": "livefleet_active_set_margin_lptu{HERE} / 1e18",
                    "missing": "livefleet_active_set_missing_lptu{HERE} / 1e18",
                },
                Unit.LPT,
                "{{node}}",
                "And what is missing to be in the pool.",
                "ActiveSetDanger",
            ),
        ),
    )


def _books() -> Row:
    return Row(
        "Books",
        (
            panel(
                "Fees in a day",
                "increase(livefleet_ledger_fees_received_wei_total{HERE}[1d]) / 1e18",
                Unit.ETH,
                "{{node}}",
                "Of the last 24 hours, delegators' part included.",
            ),
            panel(
                "Fees to withdraw",
                "livefleet_ledger_fees_withdrawable_wei{HERE} / 1e18",
                Unit.ETH,
                "{{node}}",
                "Own fees that stand on chain.",
            ),
            panel(
                "Minted in a day",
                "increase(livefleet_ledger_rewards_minted_lptu_total{HERE}[1d]) / 1e18",
                Unit.LPT,
                "{{node}}",
                "By reward calls in the last 24 hours, delegators' part included.",
            ),
            panel(
                "Stake",
                {
                    "own": "livefleet_ledger_own_stake_lptu{HERE} / 1e18",
                    "delegated": "livefleet_ledger_delegated_stake_lptu{HERE} / 1e18",
                },
                Unit.LPT,
                "{{node}}",
                "The orchestrator's own, and what others have staked with it.",
            ),
            panel(
                "Gas paid in a day",
                "increase(livefleet_ledger_gas_spent_wei_total{HERE}[1d]) / 1e18",
                Unit.ETH,
                "{{node}}",
                "By the keys that are booked.",
            ),
            panel(
                "Books against the chain",
                {
                    "difference": "livefleet_ledger_difference_units{HERE}",
                    "unexplained": "livefleet_ledger_unexplained_wei{HERE}",
                },
                Unit.NUMBER,
                "{{node}}",
                "Smallest units (wei, LPTU); 0 is right.",
                "LedgerOff",
            ),
            panel(
                "Books reach",
                "livefleet_ledger_block_number{HERE}",
                Unit.NUMBER,
                "{{node}}",
                "L2 block; a line that stays flat is behind.",
            ),
        ),
    )


def _gas() -> Row:
    return Row(
        "Keys and gas",
        (
            panel(
                "ETH of keys",
                "livefleet_key_balance_wei{HERE} / 1e18",
                Unit.ETH,
                "{{node}} {{key}}",
                "Balance of each key, by its name.",
                "KeyBalanceLow",
            ),
            panel(
                "It lasts for",
                "livefleet_gas_runway_seconds{HERE} < Inf",
                Unit.SECONDS,
                "{{node}} {{key}}",
                "At what the key spent on gas in the last seven days.",
                "GasLow",
                "GasNearlyOut",
            ),
            panel(
                "Gas price",
                {
                    "chain": "livepeer_suggested_gas_price{HERE}",
                    "bound": "livepeer_max_gas_price{HERE}",
                    "quoted": "livefleet_gas_price_quoted_wei{HERE} / 1e9",
                },
                Unit.GWEI,
                "{{node}}",
                "Of the chain, the declared bound for redemptions, and what quotes reckon with.",
            ),
            panel(
                "Proposals open",
                "livefleet_proposals_open{HERE}",
                Unit.NUMBER,
                "{{node}}",
                "That wait for a signature.",
                "DecisionAwaited",
            ),
        ),
    )


def _chain() -> Row:
    return Row(
        "Chain and its endpoints",
        (
            panel(
                "Chain not seen for",
                "livefleet_chain_seen_age_seconds{HERE}",
                Unit.SECONDS,
                "{{node}}",
                "Since any endpoint showed a new look.",
                "RpcLost",
            ),
            panel(
                "L1 block",
                "livefleet_chain_l1_block_number{HERE}",
                Unit.NUMBER,
                "{{node}}",
                "By which rounds and tickets are dated.",
            ),
            panel(
                "Looks at the chain",
                {
                    "looks": "rate(livefleet_chain_looks_total{HERE}[$__rate_interval])",
                    "reorganisations": "rate(livefleet_chain_reorganisations_total{HERE}[$__rate_interval])",
                },
                Unit.PER_SECOND,
                "{{node}}",
                "That worked; and times that blocks which were seen were replaced.",
            ),
            panel(
                "Requests by endpoint",
                "rate(livefleet_rpc_requests_total{HERE}[$__rate_interval])",
                Unit.PER_SECOND,
                "{{node}} {{endpoint}}",
                "JSON-RPC requests, each of a batch counted.",
            ),
            panel(
                "Requests by method",
                "sum by (method) (rate(livefleet_rpc_method_requests_total{HERE}[$__rate_interval]))",
                Unit.PER_SECOND,
                "{{method}}",
                "Of all nodes chosen.",
            ),
            panel(
                "Requests in the last hour",
                "livefleet_rpc_last_hour_requests{HERE}",
                Unit.NUMBER,
                "{{node}} {{endpoint}}",
                "What a provider's plan counts.",
            ),
            panel(
                "Failures",
                "rate(livefleet_rpc_failures_total{HERE}[$__rate_interval])",
                Unit.PER_SECOND,
                "{{node}} {{endpoint}}",
                "Not reachable, nonsense, too slow, or too much to do.",
                "RpcEndpointAway",
            ),
            panel(
                "Time to answer",
                "livefleet_rpc_latency_seconds{HERE}",
                Unit.SECONDS,
                "{{node}} {{endpoint}}",
                "Of late.",
            ),
            panel(
                "Head shown",
                "livefleet_rpc_head_block_number{HERE}",
                Unit.NUMBER,
                "{{node}} {{endpoint}}",
                "Highest L2 block.",
            ),
            states(
                "Endpoint keeps up",
                "1 - livefleet_rpc_behind{HERE}",
                "{{node}} {{endpoint}}",
                "Red while it is too far behind the others, and asked last.",
                "RpcEndpointAway",
            ),
            states(
                "Endpoint is asked",
                "1 - livefleet_rpc_resting{HERE}",
                "{{node}} {{endpoint}}",
                "Red while it is left out.",
                "RpcEndpointAway",
            ),
        ),
    )
