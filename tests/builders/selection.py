"""What was seen of an orchestrator, by default one that every gateway would select."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from livefleet.chain import SenderInfo
from livefleet.kernel import MAX_WIN_PROB, BlockNumber, Round, SessionId, Wei, WinProb
from livefleet.wire import AuthToken, Capabilities, OrchestratorInfo
from livefleet.wire.capabilities import DEFAULT_CAPABILITIES
from livefleet.wire.channel import Endpoint
from livefleet.wire.gateway.selection import Question, transcoding_job
from livefleet.wire.gateway.selection.models import (
    Answer,
    Answers,
    Certificate,
    ChainFacts,
    Connection,
    Handshake,
    HttpFacts,
    Name,
    Sighting,
    TlsFacts,
)
from tests.builders.wire import GATEWAY, ORCHESTRATOR, a_profile, ticket_params

NOW = 1_800_000_000.0
TODAY = datetime.fromtimestamp(NOW, UTC)
HOST = "o.example.org"
URI = f"https://{HOST}:8935"
PUBLIC = "8.8.8.8"


def a_question(**changes) -> Question:
    fields = {
        "endpoint": Endpoint(HOST, 8935),
        "job": transcoding_job([a_profile()]),
        "signer": GATEWAY,
        "has_funds": True,
        "on_chain": True,
    }
    return Question(**(fields | changes))


def tickets(**changes):
    """A thousand to one, a thousandth of an ETH, 40 blocks to live."""
    fields = {
        "face_value": Wei(10**15),
        "win_prob": WinProb(MAX_WIN_PROB // 1000),
        "expiration_block": BlockNumber(1040),
    }
    return ticket_params(**(fields | changes))


def an_info(**changes) -> OrchestratorInfo:
    fields = {
        "transcoder": URI,
        "address": bytes.fromhex(ORCHESTRATOR.address[2:]),
        "capabilities": Capabilities.of(DEFAULT_CAPABILITIES, version="0.9.1"),
        "auth_token": AuthToken(b"\1" * 32, SessionId("0badcafe"), int(NOW) + 1800),
        "price": Fraction(1200),
        "ticket_params": tickets(),
    }
    return OrchestratorInfo(**(fields | changes))


def answers(
    info: OrchestratorInfo | None = None, *, seconds=(0.1,) * 5, refusal: str = "", failure: str = ""
) -> Answers:
    """Five alike: `info`, or a refusal, or a failure."""
    if not refusal and not failure:
        info = info or an_info()
    tries = tuple(Answer(s, info, refusal, failure) for s in seconds)
    return Answers(tries, tries[-1], bytes.fromhex(ORCHESTRATOR.address[2:]))


def a_certificate(**changes) -> Certificate:
    fields = {"der": b"der", "names": (HOST,), "not_before": TODAY - timedelta(1), "not_after": TODAY + timedelta(300)}
    return Certificate(**(fields | changes))


def a_tls(alpn: str | None = "h2", plain: str | None = "http/1.1", **certificate) -> TlsFacts:
    shown = a_certificate(**certificate)
    return TlsFacts(Handshake("TLSv1.3", alpn, shown), Handshake("TLSv1.3", plain, shown))


def http_facts(**changes) -> HttpFacts:
    fields = {
        "health_status": 200,
        "bare_version": "HTTP/2",
        "bare_status": 403,
        "bare_text": "ErrSegSig",
        "junk_status": 402,
    }
    return HttpFacts(**(fields | changes))


def a_standing(**changes) -> ChainFacts:
    fields = {
        "address": ORCHESTRATOR.address,
        "current_round": Round(10),
        "last_initialized_round": Round(10),
        "l1_block": BlockNumber(1000),
        "registered": True,
        "active": True,
        "activation_round": Round(3),
        "deactivation_round": 2**256 - 1,
        "stake": 1000 * 10**18,
        "pool_size": 100,
        "registries": {"video": URI, "ai": URI},
        "sender": funds(),
    }
    return ChainFacts(**(fields | changes))


def funds(**changes) -> SenderInfo:
    fields = {
        "deposit": Wei(10**18),
        "withdraw_round": Round(0),
        "reserve_remaining": Wei(10**18),
        "reserve_claimed_in_round": Wei(0),
        "reserve_claimed_by_recipient": Wei(0),
    }
    return SenderInfo(**(fields | changes))


def a_sighting(**changes) -> Sighting:
    seen = Sighting(
        at=NOW,
        name=Name((PUBLIC,)),
        connections=(Connection(PUBLIC, 0.01, "9.9.9.9"),),
        tls=a_tls(),
        answers=answers(),
        http=http_facts(),
        chain=a_standing(),
    )
    return replace(seen, **changes)
