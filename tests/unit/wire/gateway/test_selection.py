"""What follows for a gateway from what was seen of an orchestrator: facts in, rows out."""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.kernel import MAX_WIN_PROB, BadInput, BlockNumber, ExitCode, Round, Wei, WinProb
from livefleet.payments import TicketExpiration
from livefleet.wire import AuthToken, Capabilities, Capability, CapabilityPrice, ModelConstraint
from livefleet.wire.capabilities import DEFAULT_CAPABILITIES, version_satisfies
from livefleet.wire.gateway.selection import Verdict, model_job, transcoding_job
from livefleet.wire.gateway.selection.models import Answers, Connection, Name, TlsFacts
from livefleet.wire.gateway.selection.offer import incompatibilities
from livefleet.wire.gateway.selection.walk import judge
from tests.builders.selection import (
    HOST,
    NOW,
    PUBLIC,
    TODAY,
    URI,
    a_certificate,
    a_question,
    a_sighting,
    a_standing,
    a_tls,
    an_info,
    answers,
    funds,
    http_facts,
    tickets,
)
from tests.builders.wire import GATEWAY, a_profile

pytestmark = pytest.mark.unit

OK, WARN, FAIL, SKIP = Verdict.OK, Verdict.WARN, Verdict.FAIL, Verdict.SKIP


def a_model(warm=True, runner=""):
    models = {Capability.TEXT_TO_IMAGE: {"owner/tiny": ModelConstraint(warm=warm, runner_version=runner)}}
    return Capabilities.of(DEFAULT_CAPABILITIES, version="0.9.1", models=models)


def row(check, seen, question=None):
    """The one row of a check."""
    (found,) = [r for r in judge(question or a_question(), seen).rows if r.check == check]
    return found


def of_info(check, question=None, **info):
    return row(check, a_sighting(answers=answers(an_info(**info))), question)


def test_judge__all_is_well__everything_is_ok_but_what_nobody_sells():
    report = judge(a_question(max_price=Fraction(1200)), a_sighting())
    assert {r.check: r.verdict for r in report.rows if r.verdict is not OK} == {"model prices": SKIP}
    assert len(report.rows) == 23
    assert report.exit_code is ExitCode.DONE


def test_judge__something_fails__exit_code_is_1_and_every_failure_has_advice():
    seen = a_sighting(answers=answers(an_info(price=Fraction(2000), auth_token=None)), http=http_facts(bare_status=404))
    report = judge(a_question(max_price=Fraction(1200)), seen)
    failed = [r for r in report.rows if r.verdict is FAIL]
    assert {r.check for r in failed} == {"price", "auth token", "http"}
    assert all(r.advice for r in failed)
    assert report.exit_code is ExitCode.PARTLY_FAILED


@pytest.mark.parametrize("name", [Name(error="no such name"), Name((PUBLIC,))], ids=["no name", "closed port"])
def test_judge__nobody_listens__exit_code_is_3(name):
    refused = tuple(Connection(address, error="Connection refused") for address in name.addresses)
    seen = a_sighting(name=name, connections=refused, tls=None, answers=None, http=None, chain=None)
    report = judge(a_question(), seen)
    assert report.exit_code is ExitCode.OUTSIDE_SAID_NO
    assert [r.check for r in report.rows if r.verdict is FAIL] == ["tcp" if refused else "dns"]


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "192.168.1.1", "100.64.0.9", "::1", "fe80::1", "fd00::1"])
def test_dns__address_is_not_public__is_warned_of(address):
    assert row("dns", a_sighting(name=Name((PUBLIC, address)))).verdict is WARN


@pytest.mark.parametrize(
    ("connections", "verdict"),
    [
        ((Connection(PUBLIC, 0.01, "9.9.9.9"),), OK),
        ((Connection("10.0.0.1", 0.01, "10.0.0.2"),), WARN),
        ((Connection(PUBLIC, 0.01, PUBLIC),), WARN),
        ((Connection(PUBLIC, 0.01, "9.9.9.9"), Connection("2001:4860::8", error="no route")), WARN),
    ],
    ids=["from elsewhere", "same network", "same machine", "one address of two"],
)
def test_tcp__connected__says_how_much_that_proves(connections, verdict):
    found = row("tcp", a_sighting(connections=connections))
    assert found.verdict is verdict
    assert "only" in found.found if verdict is OK else found.advice


@pytest.mark.parametrize(
    ("tls", "verdict"),
    [
        (a_tls(plain=None), OK),
        (a_tls(alpn="http/1.1"), FAIL),
        (a_tls(alpn=None, plain=None), FAIL),
        (a_tls(plain="h2"), WARN),
        (TlsFacts(a_tls().both, None, "alert no application protocol"), WARN),
        (TlsFacts(error="no TLS there"), FAIL),
    ],
    ids=["http/1.1 without ALPN", "no h2", "no ALPN", "h2 unasked", "h2 alone", "plain"],
)
def test_tls__alpn__must_select_h2_and_should_know_http_1(tls, verdict):
    assert row("tls", a_sighting(tls=tls)).verdict is verdict


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"names": ("other.example.org",)}, WARN),
        ({"names": ()}, WARN),
        ({"not_after": TODAY + timedelta(13)}, WARN),
        ({"not_after": TODAY}, FAIL),
        ({"not_before": TODAY + timedelta(hours=1)}, FAIL),
    ],
    ids=["foreign", "nameless", "ends soon", "ended", "not begun"],
)
def test_certificate__name_and_dates(changes, verdict):
    assert row("certificate", a_sighting(tls=a_tls(**changes))).verdict is verdict


def test_certificate__changes_from_connection_to_connection__is_warned_of():
    tls = a_tls()
    other = replace(tls.plain, certificate=a_certificate(der=b"other"))
    assert row("certificate", a_sighting(tls=replace(tls, plain=other))).verdict is WARN


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [
        ((0.4, 0.5, 0.3, 0.1, 0.2), OK),
        ((0.1, 0.1, 0.1, 0.1, 0.6), WARN),
        ((0.1, 0.1, 0.6, 0.6, 0.6), FAIL),
    ],
    ids=["always in time", "at times late", "mostly late"],
)
def test_answer_time__against_the_first_wait(seconds, verdict):
    found = row("answer time", a_sighting(answers=answers(seconds=seconds)))
    assert found.verdict is verdict
    assert f"p95 {max(seconds) * 1000:.0f} ms" in found.found


def test_answer_time__refusals_count__lost_ones_fail():
    late = a_sighting(answers=answers(seconds=(0.7,) * 5, refusal="Invalid orchestrator request: OrchestratorCapped"))
    assert row("answer time", late).verdict is FAIL
    some = answers()
    lost = replace(some, tries=(*some.tries[:2], *answers(seconds=(6.0,), failure="DEADLINE_EXCEEDED: late").tries))
    assert row("answer time", a_sighting(answers=lost)).verdict is FAIL
    assert "DEADLINE_EXCEEDED" in row("answer time", a_sighting(answers=lost)).found


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        ("Invalid orchestrator request: orchestrator req sig check failed", {"request signature": FAIL}),
        ("Invalid orchestrator request: OrchestratorCapped", {"request signature": OK, "capacity": FAIL}),
        ("insufficient sender reserve", {"request signature": OK, "capacity": OK, "offer": FAIL}),
        ("authentication failed: no", {"request signature": OK, "capacity": OK, "offer": FAIL}),
        ("something new", {"request signature": OK, "capacity": OK, "offer": FAIL}),
    ],
)
def test_refusal__goes_to_the_check_that_it_names(refusal, expected):
    report = judge(a_question(), a_sighting(answers=answers(refusal=refusal)))
    of_answer = {"request signature", "capacity", "offer", "price", "tickets", "capabilities"}
    assert {r.check: r.verdict for r in report.rows if r.check in of_answer} == expected


def test_refusal__throwaway_key_has_no_reserve__is_no_fault_of_the_orchestrator():
    seen = a_sighting(answers=answers(refusal="insufficient sender reserve"))
    assert row("offer", seen, a_question(has_funds=False)).verdict is SKIP


@pytest.mark.parametrize(
    ("changes", "check", "verdict"),
    [
        ({"transcoder": ""}, "work address", FAIL),
        ({"transcoder": f"{URI.upper().replace('HTTPS', 'https')}/"}, "work address", OK),
        ({"transcoder": "https://elsewhere:8935"}, "work address", WARN),
        ({"auth_token": None}, "auth token", FAIL),
        ({"auth_token": AuthToken(b"", "s", int(NOW) + 100)}, "auth token", WARN),
        ({"auth_token": AuthToken(b"", "s", int(NOW) - 1)}, "auth token", FAIL),
        ({"capabilities": None}, "capabilities", FAIL),
        ({"capabilities": Capabilities.of(DEFAULT_CAPABILITIES, version="undefined")}, "version", WARN),
        ({"capabilities": Capabilities.of(DEFAULT_CAPABILITIES)}, "version", WARN),
        ({"price": None}, "price", FAIL),
        ({"ticket_params": None}, "tickets", FAIL),
        ({"address": b"\0" * 20}, "ping", SKIP),
        ({"address": b"\7" * 20}, "ping", FAIL),
    ],
)
def test_offer__one_thing_is_off__its_row_says_so(changes, check, verdict):
    assert of_info(check, **changes).verdict is verdict


@pytest.mark.parametrize(("minimum", "verdict"), [("0.9.1", OK), ("v0.9", OK), ("0.9.2", FAIL), ("1", FAIL)])
def test_version__against_a_minimum(minimum, verdict):
    question = a_question(job=transcoding_job([a_profile()], min_version=minimum))
    assert of_info("version", question).verdict is verdict


def test_capabilities__bits_are_missing__they_are_named():
    node = Capabilities.of({Capability.H264, Capability.AUTH_TOKEN}, version="0.9.1")
    question = a_question(job=transcoding_job([a_profile(gop_ms=1000)]))
    found = of_info("capabilities", question, capabilities=node)
    assert (found.verdict, found.found) == (FAIL, "missing mpegts, gop")


def test_capabilities__node_demands_more_of_the_job__is_named():
    node = replace(an_info().capabilities, mandatories=(1 << Capability.SEGMENT_SLICING,))
    assert of_info("capabilities", capabilities=node).found == "the node demands segment_slicing of every job"


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("text-to-image/owner/tiny", ""),
        ("text-to-image/owner/large", "text-to-image has owner/tiny, not owner/large"),
        ("image-to-image/owner/tiny", "missing image_to_image"),
    ],
)
def test_capabilities__of_a_model(wanted, says):
    found = of_info("capabilities", a_question(job=model_job(wanted)), capabilities=a_model())
    assert (found.verdict, found.found if says else "") == (FAIL if says else OK, says)


@pytest.mark.parametrize("text", ["text-to-image", "text-to-image/", "h264/x", "no-such/x"])
def test_model_job__no_pipeline_and_model__is_refused(text):
    with pytest.raises(BadInput, match="text-to-image"):
        model_job(text)


ids = st.sets(st.sampled_from([*sorted(Capability), 70]), max_size=8)
constraints = st.builds(ModelConstraint, warm=st.booleans(), runner_version=st.sampled_from(["", "0.1", "1.0"]))
models = st.dictionaries(
    st.sampled_from([Capability.TEXT_TO_IMAGE, Capability.LLM]),
    st.dictionaries(st.sampled_from(["a", "b"]), constraints, max_size=2),
    max_size=2,
)
words = st.lists(st.integers(0, 3), max_size=2).map(tuple)


@given(job=st.builds(Capabilities.of, ids, models=models), node=st.builds(Capabilities.of, ids, models=models),
       minimum=st.sampled_from(["", "0.9"]), version=st.sampled_from(["", "0.9.1"]), mandatories=words,
       padding=st.booleans())  # fmt: skip
def test_incompatibilities__are_there_exactly_when_the_wire_says_that_the_job_does_not_fit(
    job, node, minimum, version, mandatories, padding
):
    job = replace(job, min_version=minimum, words=(*job.words, 0) if padding else job.words)
    node = replace(node, version=version, mandatories=mandatories)
    fits = version_satisfies(minimum, version) and not incompatibilities(job, node)
    assert fits == node.serves(job)


@pytest.mark.parametrize(
    ("price", "ceiling", "verdict", "says"),
    [
        (Fraction(1200), None, OK, "1200 wei per pixel; no ceiling was given"),
        (Fraction(1200), Fraction(1200), OK, "1200 wei per pixel, ceiling 1200 wei"),
        (Fraction(2401, 2), Fraction(1200), FAIL, "1200.500 wei per pixel, ceiling 1200 wei"),
        (Fraction(1, 10**6), Fraction(1), OK, "1/1000000 wei per pixel, ceiling 1 wei"),
        (Fraction(0), Fraction(0), OK, "0 wei per pixel, ceiling 0 wei"),
    ],
)
def test_price__against_the_ceiling(price, ceiling, verdict, says):
    found = of_info("price", a_question(max_price=ceiling), price=price)
    assert (found.verdict, found.found) == (verdict, says)


def test_model_prices__above_the_ceiling__are_named():
    prices = (CapabilityPrice(27, "owner/tiny", 7), CapabilityPrice(27, "owner/large", 9))
    found = of_info("model prices", a_question(max_price=Fraction(8)), capability_prices=prices)
    assert found.verdict is WARN
    assert found.found == "text-to-image/owner/tiny 7 wei, text-to-image/owner/large 9 wei"
    assert found.advice.endswith(": text-to-image/owner/large")


@pytest.mark.parametrize(
    ("changes", "price", "verdict"),
    [
        ({}, 1200, OK),
        ({}, 0, OK),
        ({"win_prob": WinProb(0)}, 1200, FAIL),
        ({"win_prob": MAX_WIN_PROB}, 1200, FAIL),
        ({"face_value": Wei(3 * 10**15), "win_prob": WinProb(MAX_WIN_PROB // 1000)}, 1200, OK),
        ({"face_value": Wei(4 * 10**15), "win_prob": WinProb(MAX_WIN_PROB // 1000)}, 1200, FAIL),
        ({}, 4 * 10**6, FAIL),
        ({"expiration": TicketExpiration(Round(9), b"\0" * 32)}, 1200, WARN),
    ],
    ids=["usual", "free", "worthless", "always wins", "largest value", "too large", "too many", "no round hash"],
)  # fmt: skip
def test_tickets__as_a_gateway_requires_them(changes, price, verdict):
    found = of_info("tickets", price=Fraction(price), ticket_params=tickets(**changes))
    assert found.verdict is verdict, found


@pytest.mark.parametrize(("block", "verdict"), [(1040, OK), (1002, OK), (1001, FAIL), (900, FAIL), (0, FAIL)])
def test_ticket_expiry__more_than_one_block_must_be_left(block, verdict):
    params = tickets(expiration_block=BlockNumber(block))
    assert of_info("ticket expiry", ticket_params=params).verdict is verdict


def test_offchain__nothing_is_paid__nothing_of_it_is_judged():
    info = an_info(price=None, ticket_params=None, address=b"\0" * 20)
    seen = a_sighting(answers=answers(info), chain=None, http=http_facts(bare_text="missing auth token"))
    report = judge(a_question(on_chain=False, has_funds=False), seen)
    assert {r.check for r in report.rows if r.verdict is SKIP} == {"price", "tickets", "model prices", "ping", "chain"}
    assert report.exit_code is ExitCode.DONE


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"bare_text": "missing auth token"}, OK),
        ({"health_status": 404}, WARN),
        ({"bare_version": "HTTP/1.1"}, WARN),
        ({"bare_status": 404, "bare_text": "Not Found"}, FAIL),
        ({"bare_text": "Forbidden"}, FAIL),
        ({"junk_status": 400}, FAIL),
        ({"error": "ConnectError"}, FAIL),
    ],
)
def test_http__answers_in_the_protocols_words(changes, verdict):
    assert row("http", a_sighting(http=http_facts(**changes))).verdict is verdict


@pytest.mark.parametrize(
    ("changes", "check", "verdict"),
    [
        ({"last_initialized_round": Round(9)}, "round", WARN),
        ({"registered": False}, "registered", FAIL),
        ({"active": False, "activation_round": Round(11)}, "active", FAIL),
        ({"active": False, "deactivation_round": 8}, "active", FAIL),
        ({"deactivation_round": 11}, "active", WARN),
        ({"registries": {"video": "https://elsewhere:8935"}}, "video registry", FAIL),
        ({"registries": {"video": ""}}, "video registry", FAIL),
        ({"registries": {"video": URI, "ai": "https://elsewhere:8935"}}, "ai registry", WARN),
        ({"registries": {"video": URI, "ai": ""}}, "ai registry", SKIP),
        ({"sender": None}, "gateway's funds", SKIP),
        ({"sender": funds(deposit=Wei(0))}, "gateway's funds", FAIL),
        ({"sender": funds(reserve_remaining=Wei(0))}, "gateway's funds", FAIL),
        ({"sender": funds(withdraw_round=Round(12))}, "gateway's funds", FAIL),
        ({"sender": funds(deposit=Wei(10**15))}, "gateway's funds", OK),
        ({"sender": funds(deposit=Wei(10**15 - 1))}, "gateway's funds", FAIL),
    ],
)
def test_standing__one_thing_is_off__its_row_says_so(changes, check, verdict):
    assert row(check, a_sighting(chain=a_standing(**changes))).verdict is verdict


def test_registries__an_ai_job_is_found_through_the_ai_registry():
    question = a_question(job=model_job("text-to-image/owner/tiny"))
    seen = a_sighting(chain=a_standing(registries={"video": "", "ai": "https://elsewhere:8935"}))
    assert row("ai registry", seen, question).verdict is FAIL
    assert row("video registry", seen, question).verdict is SKIP


def test_reserve_share__is_a_pool_members_part_less_what_it_took():
    sender = funds(reserve_remaining=Wei(900), reserve_claimed_in_round=Wei(100), reserve_claimed_by_recipient=Wei(4))
    assert a_standing(sender=sender, pool_size=100).reserve_share == 6
    assert a_standing(sender=sender, pool_size=0).reserve_share == 0
    assert a_standing(sender=None).reserve_share is None


def test_chain__cannot_be_asked__fails_and_says_why():
    found = row("chain", a_sighting(chain=None, chain_error="no endpoint answers"))
    assert (found.verdict, found.found) == (FAIL, "no endpoint answers")


def test_answers__the_last_word_counts():
    refused = answers(refusal="no").tries[0]
    taken = answers().tries[0]
    assert Answers((refused, taken), taken).refusal == ""
    assert Answers((taken, refused), taken).refusal == "no"
    assert GATEWAY.address in row("request signature", a_sighting()).found
    assert HOST in a_question().uri
