"""The paying side, against the reference's own payments."""

import base64
import json
from fractions import Fraction
from pathlib import Path

import pytest

from livefleet.chain import LocalSigner
from livefleet.kernel import MAX_WIN_PROB, OutsideWorld, to_min_bytes
from livefleet.media import Container, H264Profile, Profile
from livefleet.wire.gateway import Payer, SpendLimits, TooDear
from livefleet.wire.gateway.credentials import job_capabilities, segment_header
from livefleet.wire.gateway.payer import estimate_units
from livefleet.wire.proto import lp_rpc_pb2 as pb

pytestmark = pytest.mark.unit

VECTORS = json.loads((Path(__file__).parents[3] / "data/wire-vectors.json").read_text())
KEY = bytes.fromhex(VECTORS["keys"]["gateway_private_key"][2:])


def raw(text):
    return bytes.fromhex(text.removeprefix("0x"))


def a_payer():
    return Payer(LocalSigner(KEY))


def an_info(*, face_value=12 * 10**15, win_prob=None, price=(1203, 1000), block=21000040):
    info = pb.OrchestratorInfo(transcoder="https://o:8935")
    info.price_info.pricePerUnit, info.price_info.pixelsPerUnit = price
    params = info.ticket_params
    params.recipient = raw(VECTORS["keys"]["orchestrator"])
    params.face_value = to_min_bytes(face_value)
    params.win_prob = to_min_bytes(int(VECTORS["payments"][0]["win_prob"]) if win_prob is None else win_prob)
    params.recipient_rand_hash = raw(VECTORS["tickets"][0]["recipient_rand_hash"])
    params.seed = raw(VECTORS["recipient_rand"][0]["seed_bytes"])
    params.expiration_block = to_min_bytes(block)
    params.expiration_params.creation_round = 3500
    params.expiration_params.creation_round_block_hash = raw(VECTORS["tickets"][0]["creation_round_block_hash"])
    return info


def test_payment__two_tickets__equals_the_reference_header():
    info = an_info()
    expected_value = Fraction(12 * 10**15 * int(VECTORS["payments"][0]["win_prob"]), MAX_WIN_PROB)
    price = Fraction(1203, 1000)
    units = int(expected_value * Fraction(3, 2) / price / Fraction(102, 100))
    header, count = a_payer().payment(info, "session", units)
    assert count == 2
    assert pb.Payment.FromString(base64.b64decode(header)) == pb.Payment.FromString(
        raw(VECTORS["payments"][0]["payment_protobuf"])
    )


def test_tickets_due__equals_what_the_payment_then_signs_and_signs_nothing():
    payer, info = a_payer(), an_info()
    value = Fraction(12 * 10**15 * int(VECTORS["payments"][0]["win_prob"]), MAX_WIN_PROB)
    units = int(value * 5 / Fraction(1203, 1000) / Fraction(102, 100))
    assert (payer.tickets_due(info, "s", units), payer.spending.tickets) == (5, 0)
    assert payer.payment(info, "s", units)[1] == 5


def test_limit_of_spending__is_held_over_all_payments_and_nothing_beyond_it_is_signed():
    value = Fraction(12 * 10**15 * int(VECTORS["payments"][0]["win_prob"]), MAX_WIN_PROB)
    payer, info = Payer(LocalSigner(KEY), SpendLimits(total=2 * value)), an_info()
    for session in ("first", "second"):
        assert payer.payment(info, session, 10)[1] == 1
    for ask in (payer.tickets_due, payer.payment):
        with pytest.raises(TooDear, match="at most"):
            ask(info, "third", 10)
    assert (payer.spending.tickets, payer.spending.expected_value) == (2, 2 * value)


def test_limit_of_the_face_value__is_held():
    payer, units = Payer(LocalSigner(KEY), SpendLimits(face_value=10**15)), 10
    with pytest.raises(TooDear, match="would pay 12000000000000000 wei where it wins"):
        payer.payment(an_info(), "s", units)
    assert payer.payment(an_info(face_value=10**15), "s", units)[1] == 1


def test_payment__credit_left__sends_no_ticket_but_says_who_pays():
    payer, info = a_payer(), an_info()
    payer.payment(info, "s", 10)
    payer.payment(info, "s", 10)
    header, count = payer.payment(info, "s", 10)
    payment = pb.Payment.FromString(base64.b64decode(header))
    assert count == 0
    assert payment.sender == raw(VECTORS["keys"]["gateway"])
    assert not payment.HasField("ticket_params")
    assert payment.expected_price.pricePerUnit == 1203


def test_payment__after_work_is_settled__pays_again():
    payer, info = a_payer(), an_info()
    _, first = payer.payment(info, "s", 10)
    payer.settle("s", Fraction(1203, 1000), 8_000_000_000)
    _, second = payer.payment(info, "s", 10)
    assert (first, second) == (1, 2)
    assert payer.spending.tickets == 3


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"win_prob": MAX_WIN_PROB}, "not below its face value"),
        ({"face_value": 10**19, "win_prob": MAX_WIN_PROB // 1000}, "is above 3000000000000"),
        ({"block": 0}, "expiration block is 0"),
    ],
)
def test_payment__ticket_params_break_a_gateway_rule__is_refused(change, text):
    with pytest.raises(OutsideWorld, match=text):
        a_payer().payment(an_info(**change), "s", 10)


def test_payment__off_chain__is_empty():
    payer = Payer(None)
    assert payer.payment(an_info(), "s", 10) == ("", 0)
    assert payer.request_signature() == (b"", b"")


def test_request_signature__equals_the_reference():
    vector = VECTORS["orchestrator_request"]
    address, signature = a_payer().request_signature()
    assert address == raw(vector["address"])
    assert signature == raw(vector["sig"])


@pytest.mark.parametrize("vector", VECTORS["segments"], ids=lambda v: v["name"])
def test_segment_header__signature_equals_the_reference(vector):
    expected = pb.SegData.FromString(raw(vector["segdata_protobuf"]))
    header = segment_header(
        a_payer(),
        manifest_id=vector["manifest_id"],
        sequence=vector["seq"],
        data=vector["segment_data_utf8"].encode(),
        profiles=[Profile(name=name, width=1, height=1, bitrate=1) for name in vector["profile_names"]],
        duration_ms=2000,
        auth_token=pb.AuthToken(),
        capabilities=pb.Capabilities(),
    )
    made = pb.SegData.FromString(base64.b64decode(header))
    assert made.sig == expected.sig
    assert (made.hash, made.seq, made.manifestId) == (expected.hash, expected.seq, expected.manifestId)


@pytest.mark.parametrize(
    ("profile", "field"),
    [
        ({}, "fullProfiles"),
        ({"container": Container.MP4}, "fullProfiles2"),
        ({"fps": 30000, "fps_den": 1001}, "fullProfiles3"),
        ({"h264_profile": H264Profile.MAIN}, "fullProfiles3"),
        ({"gop_ms": 1000}, "fullProfiles3"),
    ],
)
def test_segment_header__profile_field__is_the_oldest_that_can_say_it(profile, field):
    header = segment_header(
        a_payer(), manifest_id="m", sequence=0, data=b"x",
        profiles=[Profile(name="p", width=640, height=360, bitrate=1000, **profile)], duration_ms=2000,
        auth_token=pb.AuthToken(), capabilities=pb.Capabilities(),
    )  # fmt: skip
    made = pb.SegData.FromString(base64.b64decode(header))
    assert [name for name in ("fullProfiles", "fullProfiles2", "fullProfiles3") if len(getattr(made, name))] == [field]


def test_job_capabilities__follow_the_renditions():
    plain = Profile(name="a", width=1, height=1, bitrate=1)
    rich = Profile(
        name="b", width=1, height=1, bitrate=1, fps=30000, fps_den=1001, gop_ms=1000,
        h264_profile=H264Profile.HIGH, container=Container.MP4,
    )  # fmt: skip
    bits = job_capabilities([plain, rich]).bitstring[0]
    assert {i for i in range(64) if bits >> i & 1} == {0, 1, 2, 3, 9, 11, 12}


def test_estimate__fps_unset_counts_as_sixty():
    assert estimate_units([Profile(name="a", width=10, height=10, bitrate=1)], 1.2) == 100 * 60 * 2
    assert estimate_units([Profile(name="a", width=10, height=10, bitrate=1, fps=30000, fps_den=1001)], 2.0) == 6000
