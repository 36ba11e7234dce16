"""Judges what an orchestrator answers to GetOrchestrator. Pure."""

from collections.abc import Iterable
from fractions import Fraction

from livefleet.chain import checksum_address, same_service
from livefleet.kernel import BlockNumber
from livefleet.payments import TicketParams
from livefleet.wire.capabilities import Capabilities, Capability, from_words, pipeline_of_capability, version_satisfies
from livefleet.wire.gateway.selection.models import Answers, Job, Question, Row, Verdict
from livefleet.wire.gateway.tickets import ESTIMATE_MARGIN, MAX_TOTAL_EV, expected_value, tickets_for, value_faults
from livefleet.wire.messages import CapabilityPrice, OrchestratorInfo

__all__ = [
    "incompatibilities",
    "judge_capability_prices",
    "judge_offer",
    "judge_ping",
    "judge_price",
    "judge_refusal",
    "judge_ticket_expiry",
    "judge_tickets",
]

REFRESH_BEFORE_S = 180  # seconds of token life below which gateways start a new session

_BAD_SIGNATURE = "orchestrator req sig check failed"
_CAPPED = "OrchestratorCapped"
_NO_RESERVE = "insufficient sender reserve"
_UNAUTHENTICATED = "authentication failed"


def judge_refusal(question: Question, answers: Answers) -> list[Row]:
    """Whether the request was let in, in the order in which an orchestrator checks it."""
    refusal = answers.refusal
    if not refusal and answers.info is None:
        return []
    if _BAD_SIGNATURE in refusal:
        advice = "the node may derive the address differently: update it"
        return [Row("request signature", Verdict.FAIL, refusal, advice)]
    rows = [Row("request signature", Verdict.OK, f"accepted from {question.signer.address}")]
    if _CAPPED in refusal:
        advice = (
            "every session is in use (wait, raise max_sessions, or add workers), or the node is drained or waits for a "
            "paid job: `livefleet status` says which"
        )
        return [*rows, Row("capacity", Verdict.FAIL, refusal, advice)]
    rows.append(Row("capacity", Verdict.OK, "takes another session"))
    if not refusal:
        return rows
    if _NO_RESERVE in refusal and not question.has_funds:
        advice = "give --key-file of a gateway with deposit and reserve to see the offer"
        return [*rows, Row("offer", Verdict.SKIP, f"{refusal}: asked with a throwaway key", advice)]
    return [*rows, Row("offer", Verdict.FAIL, refusal, _advice(refusal))]


def _advice(refusal: str) -> str:
    if _NO_RESERVE in refusal:
        return "lower ticket.expected_value or redeem_gas, or the gateway adds to its reserve"
    if _UNAUTHENTICATED in refusal:
        return "the node's auth webhook refuses this gateway"
    return "see the node's log for this request"


def judge_ping(info: OrchestratorInfo, answers: Answers) -> Row:
    """Whether who answers holds the key of the address that it gives."""
    if answers.ping_error:
        return Row("ping", Verdict.WARN, answers.ping_error, "net.Orchestrator/Ping must answer")
    if not info.address.strip(b"\0"):
        return Row("ping", Verdict.SKIP, "off-chain: nothing is signed")
    own = checksum_address(info.address)
    if answers.ping_signer is None or answers.ping_signer != info.address:
        signer = "nobody" if answers.ping_signer is None else checksum_address(answers.ping_signer)
        return Row("ping", Verdict.FAIL, f"signed by {signer}, not {own}", "results would be refused: check the key")
    return Row("ping", Verdict.OK, f"signed by {own}")


def judge_offer(question: Question, info: OrchestratorInfo, *, now: float) -> list[Row]:
    """Where to send work, the session's token, and whether the node can do the job."""
    return [
        _judge_work_address(question.uri, info.transcoder),
        _judge_token(info, now),
        _judge_version(question.job, info.capabilities),
        _judge_capabilities(question.job, info.capabilities),
    ]


def _judge_work_address(asked: str, told: str) -> Row:
    if not told:
        return Row("work address", Verdict.FAIL, "empty", "the node says it takes no work: set its service URI")
    if not same_service(asked, told):
        return Row("work address", Verdict.WARN, f"{told}, asked {asked}", "work goes there: ask that address too")
    return Row("work address", Verdict.OK, told)


def _judge_token(info: OrchestratorInfo, now: float) -> Row:
    if info.auth_token is None:
        return Row("auth token", Verdict.FAIL, "none", "gateways drop an answer without one: update the node")
    left = info.auth_token.expiration - now
    if left < REFRESH_BEFORE_S:
        verdict = Verdict.WARN if left > 0 else Verdict.FAIL
        return Row("auth token", verdict, f"valid for {left:.0f} s", "set the clock of the node (or of this machine)")
    return Row("auth token", Verdict.OK, f"session {info.auth_token.session}, valid for {left:.0f} s")


def _judge_version(job: Job, node: Capabilities | None) -> Row:
    version = "" if node is None else node.version
    minimum = job.needs.min_version
    if not version_satisfies(minimum, version):
        return Row("version", Verdict.FAIL, f"{version or 'none'}, wanted {minimum} or newer", "update the node")
    if not version_satisfies("0", version):
        found = version or "none"
        return Row("version", Verdict.WARN, found, "gateways with a minimum version drop it: run a released build")
    return Row("version", Verdict.OK, f"{version}{f', wanted {minimum}' if minimum else ''}")


def _judge_capabilities(job: Job, node: Capabilities | None) -> Row:
    if node is None:
        return Row("capabilities", Verdict.FAIL, "none told", "gateways drop it for any job but the oldest: update it")
    faults = incompatibilities(job.needs, node)
    if faults:
        advice = "declare the duty or model that gives it; check `livefleet status` for what failed to start"
        return Row("capabilities", Verdict.FAIL, "; ".join(faults), advice)
    return Row("capabilities", Verdict.OK, ", ".join(_names(job.needs.ids)))


def incompatibilities(job: Capabilities, node: Capabilities) -> list[str]:
    """Everything but the version that keeps a node from a job; empty where the job fits."""
    faults = []
    missing = job.ids - node.ids
    if missing:
        faults.append(f"missing {', '.join(_names(missing))}")
    unknown = from_words(node.mandatories) - job.ids
    if unknown:
        faults.append(f"the node demands {', '.join(_names(unknown))} of every job")
    if not faults and (len(job.words) > len(node.words) or len(node.mandatories) > len(job.words)):
        faults.append("its bit string has another length")  # a longer one never fits, whatever its last words are
    return faults + _model_faults(job, node)


def _model_faults(job: Capabilities, node: Capabilities) -> list[str]:
    faults = []
    for capability, wanted in job.models.items():
        offered = node.models.get(capability)
        if offered is None:
            continue
        pipeline = pipeline_of_capability(capability) or str(capability)
        for model_id, constraint in wanted.items():
            own = offered.get(model_id)
            if own is None:
                faults.append(f"{pipeline} has {', '.join(offered) or 'no model'}, not {model_id}")
            elif constraint.warm and not own.warm:
                faults.append(f"{pipeline}/{model_id} is cold")
            elif not version_satisfies(constraint.runner_version, own.runner_version):
                faults.append(f"{pipeline}/{model_id} has runner {own.runner_version or 'of no version'}")
    return faults


def _names(ids: Iterable[int]) -> list[str]:
    known = {c.value: c.name.lower() for c in Capability}
    return [known.get(i, f"capability {i}") for i in sorted(ids)]


def judge_price(question: Question, price: Fraction | None, *, on_chain: bool) -> Row:
    """The price of this job against the gateway's ceiling."""
    if price is None:
        if not on_chain:
            return Row("price", Verdict.SKIP, "off-chain: no price")
        return Row("price", Verdict.FAIL, "none", "gateways need price_info with pixelsPerUnit above 0: set `prices`")
    found = f"{_wei(price)} per {'unit' if question.job.is_ai else 'pixel'}"
    if question.max_price is None:
        return Row("price", Verdict.OK, f"{found}; no ceiling was given")
    found += f", ceiling {_wei(question.max_price)}"
    if price > question.max_price:
        advice = "lower `prices`, or turn auto_adjust off: it adds the cost of redeeming"
        return Row("price", Verdict.FAIL, found, advice)
    return Row("price", Verdict.OK, found)


def judge_capability_prices(prices: tuple[CapabilityPrice, ...], ceiling: Fraction | None) -> Row:
    """What each model costs; told only to those who ask in general."""
    if not prices:
        return Row("model prices", Verdict.SKIP, "no model has a price")
    found = ", ".join(f"{_model(p)} {p.price} wei" for p in prices)
    dear = [_model(p) for p in prices if ceiling is not None and p.price > ceiling]
    if dear:
        return Row("model prices", Verdict.WARN, found, f"above the ceiling: {', '.join(dear)}")
    return Row("model prices", Verdict.OK, found)


def _model(price: CapabilityPrice) -> str:
    return f"{pipeline_of_capability(price.capability) or price.capability}/{price.model_id}"


def judge_tickets(job: Job, price: Fraction | None, params: TicketParams | None, *, on_chain: bool) -> Row:
    """Whether a gateway would pay with such tickets."""
    if params is None:
        if not on_chain:
            return Row("tickets", Verdict.SKIP, "off-chain: no tickets")
        advice = "the node runs off-chain: set its network"
        return Row("tickets", Verdict.FAIL, "no ticket parameters", advice)
    expected = expected_value(params.face_value, params.win_prob)
    if not price:
        return Row("tickets", Verdict.OK, "none needed: the work is free")
    if not expected:
        return Row("tickets", Verdict.FAIL, "a price, but tickets worth nothing", "set ticket.expected_value")
    count = tickets_for(ESTIMATE_MARGIN * price * job.units, Fraction(0), expected)
    found = (
        f"face value {params.face_value} wei, expected value {float(expected):.0f} wei,"
        f" {count} for {job.units} {'units' if job.is_ai else 'pixels'}"
    )
    faults = value_faults(params.face_value, expected)
    if faults:
        advice = "set ticket.expected_value below face value and 3e12 wei; raise max_face_value"
        return Row("tickets", Verdict.FAIL, "; ".join(faults), advice)
    if count * expected > MAX_TOTAL_EV:
        advice = f"gateways pay at most {MAX_TOTAL_EV} wei at once: lower the price"
        return Row("tickets", Verdict.FAIL, f"{found}: {float(count * expected):.0f} wei together", advice)
    if not any(params.expiration.creation_round_block_hash):
        advice = "gateways put their own round's hash there and may fail: look at the node's chain endpoint"
        return Row("tickets", Verdict.WARN, f"{found}; no creation round hash", advice)
    return Row("tickets", Verdict.OK, found)


def judge_ticket_expiry(params: TicketParams, l1_block: BlockNumber | None) -> Row:
    """Whether the parameters live long enough to be paid with."""
    if not params.expiration_block:
        advice = "the node has seen no block yet: look at its chain endpoint"
        return Row("ticket expiry", Verdict.FAIL, "expiration block 0", advice)
    if l1_block is None:
        return Row("ticket expiry", Verdict.SKIP, f"L1 block {params.expiration_block}", "give a network to compare")
    left = params.expiration_block - l1_block
    found = f"L1 block {params.expiration_block}, {left} after the latest"
    if left <= 1:
        return Row("ticket expiry", Verdict.FAIL, found, "the node's chain endpoint is behind: give it another")
    return Row("ticket expiry", Verdict.OK, found)


def _wei(amount: Fraction) -> str:
    if amount.denominator == 1:
        return f"{amount.numerator} wei"
    return f"{float(amount):.3f} wei" if amount > Fraction(1, 1000) else f"{amount} wei"  # auto-adjusted to 0.001
