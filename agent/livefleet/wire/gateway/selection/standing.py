"""Judges an orchestrator's standing on chain, and the asking gateway's funds. Pure."""

from livefleet.chain import same_service
from livefleet.kernel import Wei
from livefleet.wire.gateway.selection.models import ChainFacts, Question, Row, Verdict

__all__ = ["judge_chain", "judge_funds"]

_LPT = 10**18


def judge_chain(question: Question, facts: ChainFacts) -> list[Row]:
    """Registered, active in this round, and found where it was asked."""
    return [
        _judge_round(facts),
        _judge_registered(facts),
        _judge_active(facts),
        *(_judge_registry(question, name, uri) for name, uri in sorted(facts.registries.items(), reverse=True)),
    ]


def _judge_round(facts: ChainFacts) -> Row:
    if facts.current_round != facts.last_initialized_round:
        found = f"round {facts.current_round} is not initialised, the last was {facts.last_initialized_round}"
        return Row("round", Verdict.WARN, found, "nobody can redeem or call reward until someone initialises it")
    return Row("round", Verdict.OK, f"{facts.current_round}, initialised")


def _judge_registered(facts: ChainFacts) -> Row:
    found = f"{facts.address}, {facts.stake / _LPT:g} LPT"
    if not facts.registered:
        advice = "bond LPT to that address itself; where another one is paid give --address"
        return Row("registered", Verdict.FAIL, f"{found}: no orchestrator", advice)
    return Row("registered", Verdict.OK, found)


def _judge_active(facts: ChainFacts) -> Row:
    found = f"round {facts.current_round}: {facts.pool_size} in the pool"
    if facts.active:
        if facts.deactivation_round <= facts.current_round + 1:
            advice = "it leaves the pool next round: add stake"
            return Row("active", Verdict.WARN, f"{found}, active until round {facts.deactivation_round}", advice)
        return Row("active", Verdict.OK, f"{found}, active since round {facts.activation_round}")
    if facts.activation_round > facts.current_round:
        advice = "gateways see it from then on"
        return Row("active", Verdict.FAIL, f"{found}, active from round {facts.activation_round}", advice)
    advice = "more stake than the last of the pool is needed, then `transcoder(…)` or a bond puts it back"
    return Row("active", Verdict.FAIL, f"{found}, this one not active", advice)


def _judge_registry(question: Question, name: str, uri: str) -> Row:
    check = f"{name} registry"
    if same_service(question.uri, uri):
        return Row(check, Verdict.OK, uri)
    found = f"{uri or 'nothing registered'}, asked {question.uri}"
    concerned = (name == "ai") == question.job.is_ai
    if not concerned:
        if not uri:
            return Row(check, Verdict.SKIP, f"nothing registered: gateways with {name} jobs do not see it")
        return Row(check, Verdict.WARN, found, f"gateways with {name} jobs ask another place")
    return Row(check, Verdict.FAIL, found, "register the service URI that the node declares (setServiceURI)")


def judge_funds(facts: ChainFacts, face_value: Wei) -> Row:
    """Whether the asking gateway could pay; no fault of the orchestrator where it could not."""
    sender = facts.sender
    if sender is None:
        return Row("gateway's funds", Verdict.SKIP, "no gateway key was given")
    reserve = sender.reserve_remaining + sender.reserve_claimed_in_round
    found = f"deposit {sender.deposit} wei, reserve {reserve} wei, {facts.reserve_share} of it for this one"
    if not sender.deposit or not reserve:
        return Row("gateway's funds", Verdict.FAIL, found, "the gateway needs both a deposit and a reserve")
    if sender.withdraw_round:
        found += f"; unlocking, until round {sender.withdraw_round}"
        return Row("gateway's funds", Verdict.FAIL, found, "the gateway is taking its funds out: cancel the unlock")
    if face_value > sender.deposit:
        advice = "the gateway's deposit must be at least a ticket's face value: add to it, or lower max_face_value"
        return Row("gateway's funds", Verdict.FAIL, f"{found}; face value {face_value} wei", advice)
    return Row("gateway's funds", Verdict.OK, found)
