"""What the dashboard of payments shows of the chain: rewards, books, gas, endpoints."""

from livefleet.monitoring.dashboards.board import Row, Unit, panel, stat, states

__all__ = ["books_row", "chain_row", "gas_row", "rewards_row"]


def rewards_row() -> Row:
    """Rewards that are owed, called and missed; the place in the pool."""
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


def books_row() -> Row:
    """What the ledger reckons, and whether it agrees with the chain."""
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


def gas_row() -> Row:
    """ETH of keys, how long it lasts, and what gas costs."""
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


def chain_row() -> Row:
    """What is seen of the chain, and by which endpoint."""
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
