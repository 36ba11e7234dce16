"""Alerts about the chain: RPC, signer, transactions, prices' feed, standing and votes."""

from typing import Final

from livefleet.monitoring.alert import AlertRule, Look, Severity, Topic
from livefleet.monitoring.promql import condition_of
from livefleet.spec.alerts import AlertSettings

__all__ = ["chain_rules"]

_BY: Final = "by (fleet, node, role)"
_STATUS: Final = Look("livefleet status HOST", "every condition, with its reason and what to do")
_LOGS: Final = Look("livefleet logs HOST --since 1h", "what the agent said of it")


def chain_rules(settings: AlertSettings) -> tuple[AlertRule, ...]:
    """For nodes that work on chain."""
    return (
        AlertRule(
            "RpcLost", Topic.CHAIN, Severity.CRITICAL,
            f"({condition_of('ChainReachable')}) or on (node) "
            f"max {_BY} (livefleet_chain_seen_age_seconds) > {settings.rpc_lost:g}",
            60,
            summary="{{ $labels.node }} does not see the chain",
            means="No RPC endpoint answers. The node serves from its last look for a while, then takes no payments; "
            "rewards and redemptions wait.",
            advice="Check the endpoints and their plan's limits; declare a second one",
            look=(_STATUS, Look("livefleet_rpc_failures_total", "the failures by endpoint"), _LOGS),
            clears="with the first look that works",
            conditions=("ChainReachable",),
        ),
        AlertRule(
            "RpcEndpointAway", Topic.CHAIN, Severity.WARNING,
            "livefleet_rpc_resting == 1 or livefleet_rpc_behind == 1", 900,
            summary="{{ $labels.node }} does without the RPC endpoint {{ $labels.endpoint }}",
            means="It fails or is behind the others, so it is left out. The node goes on with the others.",
            advice="See whether its plan is used up; replace it where it stays away",
            look=(Look("livefleet_rpc_last_hour_requests", "what the plan counts"), _STATUS),
            clears="when it answers and has caught up",
            held_by=("RpcLost",),
        ),
        AlertRule(
            "SignerLost", Topic.CHAIN, Severity.CRITICAL,
            " or ".join(condition_of(name) for name in ("SignerReachable", "KeysInUse")), 120,
            summary="{{ $labels.node }} cannot sign",
            means="The signing service does not answer, or a key cannot be opened: nothing can be sent or promised.",
            advice="Start the signing service, and see that the node reaches it and may use the key",
            look=(_STATUS, _LOGS),
            clears="when a signature is made",
            conditions=("SignerReachable", "KeysInUse"),
        ),
        AlertRule(
            "TransactionsStuck", Topic.CHAIN, Severity.WARNING, condition_of("TransactionsMove"), 900,
            summary="a transaction of {{ $labels.subject }} on {{ $labels.node }} is not mined",
            means="What was sent waits: its gas price is too low, or an earlier one of the same key is in the way.",
            advice="Raise the limit of the gas price, or wait for calmer times",
            look=(_STATUS, _LOGS),
            clears="when it is mined",
            conditions=("TransactionsMove",),
            held_by=("RpcLost",),
        ),
        AlertRule(
            "RedeemerClosed", Topic.CHAIN, Severity.CRITICAL, condition_of("RedeemerOpen"), 120,
            summary="the redeemer {{ $labels.node }} takes no tickets",
            means="Orchestrators keep their winning tickets meanwhile; they expire after about two rounds.",
            advice="Read the condition's message; see whether another program has the port",
            look=(_STATUS, _LOGS),
            clears="when it listens",
            conditions=("RedeemerOpen",),
        ),
        AlertRule(
            "PriceStale", Topic.CHAIN, Severity.WARNING,
            " or ".join(condition_of(name) for name in ("PriceFeedFresh", "PriceFeedSound")), 1800,
            summary="{{ $labels.node }} reckons prices with an old rate",
            means="The price feed is not read, is stale, or jumped: prices in US dollars drift away from the market.",
            advice="Check the feed's address and the RPC endpoints; declare prices in wei meanwhile",
            look=(Look("livefleet price explain HOST", "which rate is used, and how old it is"),),
            clears="with a fresh answer of the feed",
            conditions=("PriceFeedFresh", "PriceFeedSound"),
            held_by=("RpcLost",),
        ),
        AlertRule(
            "ActiveSetDanger", Topic.CHAIN, Severity.CRITICAL,
            " or ".join(condition_of(name) for name in ("ActiveSet", "ActiveNextRound")), 300,
            summary="{{ $labels.node }} falls out of the active set, or nearly does",
            means="Outside of it no ticket can be redeemed and no reward is minted.",
            advice="Add stake, and redeem what is due before it happens",
            look=(Look("livefleet chain rank", "place in the pool, and stake that is missing"),),
            clears="when the stake is safely above the cut-off",
            conditions=("ActiveSet", "ActiveNextRound"),
        ),
        AlertRule(
            "DecisionAwaited", Topic.CHAIN, Severity.INFO,
            " or ".join(condition_of(name) for name in ("ProposalsOpen", "VotesOpen")), 0,
            summary="something on chain waits for you ({{ $labels.condition }} of {{ $labels.node }})",
            means="A change needs a signature that no host can give, or a vote is open and not cast.",
            advice="Look at what waits, then sign or vote",
            look=(
                Look("livefleet chain pending", "what waits for a signature"),
                Look("livefleet chain proposals", "which votes are open"),
            ),
            clears="when it is signed, voted on, or over",
            conditions=("ProposalsOpen", "VotesOpen"),
        ),
    )  # fmt: skip
