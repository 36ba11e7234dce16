"""Alerts about what is earned: tickets, payments, rewards, gas."""

from typing import Final

from livefleet.monitoring.alert import AlertRule, Look, Severity, Topic
from livefleet.monitoring.promql import condition_of, span
from livefleet.spec.alerts import AlertSettings

__all__ = ["money_rules"]

_BY: Final = "by (fleet, node, role)"
_STATUS: Final = Look("livefleet status HOST", "every condition, with its reason and what to do")
_LOGS: Final = Look("livefleet logs HOST --since 1h", "each transaction and refusal with its reason")
_ALONE: Final = "ExpiringSoon|Lost|Alarm"


def money_rules(settings: AlertSettings) -> tuple[AlertRule, ...]:
    """For nodes that earn, redeem, call rewards or pay gas."""
    window = span(settings.fail_window)
    refused, taken = (
        f"sum {_BY} (increase({name}[{window}]))" for name in ("livepeer_payment_recv_errors", "livepeer_tickets_recv")
    )
    return (
        AlertRule(
            "RewardNearDeadline", Topic.MONEY, Severity.CRITICAL,
            "livefleet_reward_owed == 1 and livefleet_reward_round_left_seconds - livefleet_chain_seen_age_seconds "
            f"< {settings.reward_deadline:g}",
            60,
            summary="the reward of {{ $labels.node }} is not called, and its round ends soon",
            means="What the round would mint for the orchestrator and its delegators is lost when the round ends.",
            advice="Read why the call fails: gas, RPC or a round that nobody initialised; else call it by hand",
            look=(_STATUS, Look("livefleet chain round", "how long the round lasts"), _LOGS),
            clears="when the reward is called, or the round is over",
            conditions=("RewardCalled",),
        ),
        AlertRule(
            "RewardMissed", Topic.MONEY, Severity.CRITICAL, condition_of("RewardsComplete"), 0,
            summary="{{ $labels.node }} missed the reward of the last round",
            means="The last round ended without the orchestrator's reward: what it would have minted is lost.",
            advice="Find out why before this round ends too: gas, RPC, the key, or an agent that was down",
            look=(_LOGS, _STATUS),
            clears="when the next round has its reward and is over",
            conditions=("RewardsComplete",),
        ),
        AlertRule(
            "RewardCallsFail", Topic.MONEY, Severity.WARNING,
            f"increase(livepeer_reward_call_errors[{window}]) > 0", 0,
            summary="a reward call of {{ $labels.node }} failed",
            means="The transaction reverted or could not be sent; the node tries again.",
            advice="Read the failure's reason; send ETH to the key where gas is lacking",
            look=(_LOGS,),
            clears=f"{window} after the last failure",
            held_by=("RewardNearDeadline", "RpcLost"),
        ),
        AlertRule(
            "GasLow", Topic.MONEY, Severity.WARNING,
            f"livefleet_gas_runway_seconds < {settings.gas_runway:g}", 600,
            summary="the ETH of `{{ $labels.key }}` on {{ $labels.node }} lasts {{ $value | humanizeDuration }}",
            means="At the last week's spending the key cannot pay for gas any more after that: no reward call, no "
            "redemption.",
            advice="Send ETH to the key's address",
            look=(Look("livefleet status HOST", "the key's address, what it holds and spends"),),
            clears=f"when it lasts {span(settings.gas_runway)} again",
            held_by=("GasNearlyOut",),
            held_on=("node", "key"),
        ),
        AlertRule(
            "GasNearlyOut", Topic.MONEY, Severity.CRITICAL,
            f"livefleet_gas_runway_seconds < {settings.gas_runway_critical:g}", 60,
            summary="the ETH of `{{ $labels.key }}` on {{ $labels.node }} lasts only {{ $value | humanizeDuration }}",
            means="Rewards are missed and winning tickets expire as soon as the key cannot pay for gas.",
            advice="Send ETH to the key's address now",
            look=(Look("livefleet status HOST", "the key's address, what it holds and spends"),),
            clears=f"when it lasts {span(settings.gas_runway_critical)} again",
        ),
        AlertRule(
            "KeyBalanceLow", Topic.MONEY, Severity.WARNING,
            f'label_replace({condition_of("GasRunway")}, "key", "$1", "subject", "(.*)")', 600,
            summary="`{{ $labels.key }}` on {{ $labels.node }} holds less ETH than is declared",
            means="The balance is below `on_chain.gas.warn_below`, or does not last for its `warn_days`; one busy hour "
            "with dear gas may use it up.",
            advice="Send ETH to the key's address",
            look=(Look("livefleet status HOST", "the key's address and what it holds"),),
            clears="when the balance is above the declared amount",
            conditions=("GasRunway",),
            held_by=("GasLow", "GasNearlyOut"),
            held_on=("node", "key"),
        ),
        AlertRule(
            "TicketsExpiring", Topic.MONEY, Severity.CRITICAL, "livefleet_tickets_expiring_soon > 0", 60,
            summary="{{ $value }} winning ticket(s) of {{ $labels.node }} are about to expire",
            means="Something keeps them from being redeemed; what they won is lost when they expire.",
            advice="Read what they wait for: a gas price above the limit, no ETH for gas, or a sender without money",
            look=(_STATUS, Look("livefleet_tickets_waiting", "the winners by what they wait for")),
            clears="when they are redeemed or lost",
            conditions=("TicketsRedeemed",),
        ),
        AlertRule(
            "TicketsLost", Topic.MONEY, Severity.WARNING,
            condition_of("TicketsRedeemed", 'reason=~"Lost|Alarm"'), 0,
            summary="{{ $labels.node }} lost winning tickets in the last 24 hours",
            means="Winning tickets expired, or the contract refused them for good.",
            advice="Read the reasons; where senders had no money left, lower what they may owe (`max_face_value`)",
            look=(_STATUS, Look("livefleet_tickets_lost_wei_total", "what was lost, by the contract's words")),
            clears="24 hours after the last loss",
            conditions=("TicketsRedeemed",),
        ),
        AlertRule(
            "WinnersStuck", Topic.MONEY, Severity.WARNING,
            condition_of("TicketsRedeemed", f'reason!~"{_ALONE}"'), 900,
            summary="winning tickets of {{ $labels.node }} reach nobody who redeems them",
            means="Another is to redeem for the node, and it is away or does not take them.",
            advice="Start the redeemer, and see that the node reaches it",
            look=(_STATUS,),
            clears="when the redeemer has them",
            conditions=("TicketsRedeemed",),
        ),
        AlertRule(
            "RedemptionsFail", Topic.MONEY, Severity.WARNING,
            f"increase(livepeer_ticket_redemption_errors[{window}]) >= {settings.fail_count:g}", 0,
            summary="redemptions of {{ $labels.node }} fail again and again",
            means="The chain refuses redemptions, or they cannot be sent; each costs gas or time.",
            advice="Read the failures' reasons in the log",
            look=(_LOGS,),
            clears=f"{window} after the last of them",
            held_by=("RpcLost", "GasNearlyOut"),
        ),
        AlertRule(
            "PaymentsRefused", Topic.MONEY, Severity.WARNING,
            f"{refused} / ({refused} + {taken}) > {settings.payment_fail_rate:g} "
            f"and {refused} >= {settings.fail_count:g}",
            300,
            summary="{{ $labels.node }} refuses {{ $value | humanizePercentage }} of the payments",
            means="Gateways send payments that the node cannot take: work is done for nothing, or not at all.",
            advice="Read the reasons: many at once after a change of price or key are the node's own doing",
            look=(
                Look("livefleet_payments_refused_total", "the refusals by what was wrong"),
                Look("livefleet price explain HOST", "how the quoted price comes about"),
            ),
            clears="when the share is below the limit again",
        ),
        AlertRule(
            "PaymentsNotWritten", Topic.MONEY, Severity.CRITICAL,
            f"livefleet_store_fault == 1 or on (node) {condition_of('PaymentsDurable')}", 30,
            summary="{{ $labels.node }} cannot write payments, and refuses them",
            means="The last commit failed: every payment is answered with an error until one works.",
            advice="Look at the disk's space, or at the shared database",
            look=(_STATUS, Look("livefleet exec HOST -- df -h /var/lib/livefleet", "how much of the disk is left")),
            clears="with the first write that works",
            conditions=("PaymentsDurable",),
        ),
        AlertRule(
            "LedgerOff", Topic.MONEY, Severity.WARNING, condition_of("LedgerBalanced"), 3600,
            summary="the books of {{ $labels.node }} do not agree with the chain",
            means="What the ledger has and what the chain says differ, or a wallet moved money without a known reason.",
            advice="Read which account differs; a movement that was no one's here means that a key is in other hands",
            look=(_STATUS, Look("livefleet report earnings", "the books by round, gateway and host")),
            clears="when both agree",
            conditions=("LedgerBalanced",),
        ),
    )  # fmt: skip
