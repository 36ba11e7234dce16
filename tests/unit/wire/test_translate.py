import base64
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.kernel import Pixels, SessionId, Wei
from livefleet.media import Container, H264Profile, Profile, VideoCodec
from livefleet.wire import (
    AuthToken,
    BadCredentials,
    Capabilities,
    CapabilityPrice,
    MalformedPayment,
    ModelConstraint,
    OrchestratorInfo,
    SegmentCredentials,
    SegmentOutcome,
    SessionEnd,
    StoredRendition,
    WorkerTask,
)
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.translate import (
    capabilities_from_proto,
    info_from_proto,
    info_to_proto,
    outcome_from_proto,
    outcome_to_proto,
    payment_from_header,
    payment_to_header,
    profile_from_proto,
    profile_to_proto,
    segment_from_header,
    segment_from_proto,
    segment_to_proto,
    task_from_proto,
    task_to_proto,
    ticket_params_from_proto,
    ticket_params_to_proto,
)
from tests.builders.wire import a_payment, a_profile, ticket_params

pytestmark = pytest.mark.unit

u32 = st.integers(0, 2**31 - 1)
profiles = st.builds(
    Profile,
    name=st.text(min_size=1, max_size=20),
    width=u32,
    height=u32,
    bitrate=u32,
    fps=u32,
    fps_den=st.integers(1, 2000),
    gop_ms=st.integers(-1, 10_000),
    container=st.sampled_from(Container),
    h264_profile=st.sampled_from(H264Profile),
    codec=st.sampled_from(VideoCodec),
    quality=st.integers(0, 63),
)
tokens = st.builds(
    AuthToken, st.binary(max_size=32), st.text(max_size=8).map(SessionId), st.integers(-(2**63), 2**63 - 1)
)
segments = st.builds(
    SegmentCredentials,
    manifest_id=st.binary(max_size=20),
    sequence=st.integers(0, 2**63 - 1),
    source_hash=st.binary(min_size=32, max_size=32),
    profiles=st.lists(profiles, max_size=4).map(tuple),
    duration_ms=st.integers(1, 300_000),
    auth_token=st.none() | tokens,
    signature=st.binary(max_size=65),
    clip_from_ms=st.none() | st.just(5),
)


@given(profiles)
def test_profile__there_and_back(profile):
    assert profile_from_proto(profile_to_proto(profile)) == profile


@given(segments)
def test_segment__there_and_back(segment):
    clipped = segment if segment.clip_from_ms is None else replace(segment, clip_to_ms=9)
    assert segment_from_proto(segment_to_proto(clipped)) == clipped


@given(st.integers(0, 2**256 - 1), st.integers(0, 2**256 - 1))
def test_ticket_params__there_and_back(face_value, seed):
    params = ticket_params(face_value=Wei(face_value), seed=seed)
    assert ticket_params_from_proto(ticket_params_to_proto(params)) == params


@given(st.integers(0, 10))
def test_payment__there_and_back(tickets):
    payment = a_payment(tickets=tickets)
    read = payment_from_header(payment_to_header(payment))
    assert read.tickets == payment.tickets
    assert read.expiration == payment.expiration
    assert read.expected_price == payment.expected_price


@given(st.fractions(min_value=0, max_value=2**80))
def test_price__survives_or_is_floored_to_what_fits(price):
    info = OrchestratorInfo("https://o", b"\0" * 20, None, None, price=price)
    if int(price) > 2**63 - 1:
        with pytest.raises(ValueError, match="price cannot be converted to int64"):
            info_to_proto(info)
        return
    read = info_from_proto(info_to_proto(info)).price
    exact = price.numerator < 2**63 and price.denominator < 2**63
    assert read == (price if exact else Fraction(int(price)))


def test_info__there_and_back():
    info = OrchestratorInfo(
        transcoder="https://o:8935",
        address=b"\1" * 20,
        capabilities=Capabilities.of(
            {0, 12},
            version="0.9.1",
            models={27: {"m": ModelConstraint(warm=True, capacity=2, runner_version="1.0", capacity_in_use=1)}},
        ),
        auth_token=AuthToken(b"t" * 32, SessionId("cafecafe"), 1),
        price=Fraction(1203, 1000),
        ticket_params=ticket_params(),
        capability_prices=(CapabilityPrice(27, "m", 5),),
        nodes=("https://other:8935",),
    )
    assert info_from_proto(info_to_proto(info)) == info


def test_outcome__there_and_back():
    info = OrchestratorInfo("https://o", b"\0" * 20, None, None)
    good = SegmentOutcome(3, info, (StoredRendition("https://o/stream/x", Pixels(9)),), b"sig")
    bad = SegmentOutcome(3, info, error="OrchestratorBusy")
    assert [outcome_from_proto(outcome_to_proto(o)) for o in (good, bad)] == [good, bad]
    assert outcome_from_proto(pb.TranscodeResult(seq=1)).error == "UnknownResponse"


def test_task__there_and_back():
    task = WorkerTask(0, "https://o/stream/x/1.tempfile", SegmentCredentials(duration_ms=5), "0xabc")
    assert task_from_proto(task_to_proto(task)) == task
    end = SessionEnd("cafecafe")
    message = task_to_proto(end)
    assert task_from_proto(message) == end
    assert message == pb.NotifySegment(segData=pb.SegData(auth_token=pb.AuthToken(session_id="cafecafe")))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"format": 9}, "unrecognized profile output format"),
        ({"profile": 9}, "unrecognized encoder profile"),
        ({"encoder": 9}, "unrecognized video codec"),
    ],
)
def test_profile__unknown_enum__is_named(change, text):
    with pytest.raises(BadCredentials) as caught:
        profile_from_proto(pb.VideoProfile(name="p", **change))
    assert (caught.value.text, caught.value.status) == (text, 403)


def test_profile__without_a_name__gets_one():
    profile = profile_from_proto(pb.VideoProfile(width=640, height=360, bitrate=5))
    assert (profile.name, profile.fps_den) == ("net_640x360_5", 1)


def test_segment__duration_missing__is_two_seconds():
    assert segment_from_header("").duration_ms == 2000


@pytest.mark.parametrize("duration", [-1, 300_001])
def test_segment__duration_out_of_range__is_refused(duration):
    header = base64.b64encode(pb.SegData(duration=duration).SerializeToString()).decode()
    with pytest.raises(BadCredentials, match="invalid duration"):
        segment_from_header(header)


def test_segment__richest_profiles_field__wins():
    message = pb.SegData(
        fullProfiles=[pb.VideoProfile(name="one")], fullProfiles3=[pb.VideoProfile(name="three", width=2)]
    )
    assert [p.name for p in segment_from_proto(message).profiles] == ["three"]


@pytest.mark.parametrize(
    ("profile", "field"),
    [
        (a_profile(), "fullProfiles"),
        (a_profile(container=Container.MP4), "fullProfiles2"),
        (a_profile(gop_ms=-1), "fullProfiles3"),
        (a_profile(fps_den=1001), "fullProfiles3"),
    ],
)
def test_segment__profiles_field__is_the_poorest_that_can_say_it(profile, field):
    assert len(getattr(segment_to_proto(SegmentCredentials(profiles=(profile,))), field)) == 1


@pytest.mark.parametrize(
    "message",
    [
        pb.Payment(ticket_params=pb.TicketParams(face_value=b"\1" * 33)),
        pb.Payment(ticket_params=pb.TicketParams(seed=b"\1" * 33)),
        pb.Payment(expiration_params=pb.TicketExpirationParams(creation_round=-1)),
    ],
)
def test_payment__numbers_that_no_ticket_holds__are_malformed(message):
    with pytest.raises(MalformedPayment) as caught:
        payment_from_header(base64.b64encode(message.SerializeToString()).decode())
    assert caught.value.status == 402


def test_payment__negative_price__reads_as_no_price():
    payment = payment_from_header(
        base64.b64encode(
            pb.Payment(expected_price=pb.PriceInfo(pricePerUnit=-5, pixelsPerUnit=1)).SerializeToString()
        ).decode()
    )
    assert payment.price_per_unit == -5
    assert payment.expected_price is None


@pytest.mark.parametrize("header", ["\xe9", "=", "not base64"])
def test_headers__no_base64__have_their_own_answers(header):
    with pytest.raises(MalformedPayment, match=r"^base64 decode error: ") as payment:
        payment_from_header(header)
    with pytest.raises(BadCredentials, match=r"^ErrorSegEncoding$") as segment:
        segment_from_header(header)
    assert (payment.value.status, segment.value.status) == (402, 403)


def test_segment__profiles_without_end__are_refused_before_they_are_hashed():
    profiles = [pb.VideoProfile(name="a", width=1, height=1, bitrate=1)] * 1000
    with pytest.raises(BadCredentials, match=r"^Too many outputs$"):
        segment_from_proto(pb.SegData(fullProfiles=profiles))


def test_capabilities__bits_without_end__cost_no_memory():
    bits = capabilities_from_proto(pb.Capabilities(bitstring=[2**64 - 1] * 200_000))
    assert len(bits.words) == 200_000  # as they came: it fits no node
    assert len(bits.capacities) == 1024
    claimed = capabilities_from_proto(pb.Capabilities(capacities={27: 1, 2**32 - 1: 1}))
    assert claimed.capacities == {27: 1}
    assert Capabilities().with_worker(claimed).ids == {27}


def test_segment__perceptual_hash_and_fresh_start__survive():
    credentials = SegmentCredentials(duration_ms=2000, calc_perceptual_hash=True, force_session_reinit=True)
    again = segment_from_proto(segment_to_proto(credentials))
    assert (again.calc_perceptual_hash, again.force_session_reinit) == (True, True)
    plain = segment_from_proto(segment_to_proto(SegmentCredentials(duration_ms=2000)))
    assert (plain.calc_perceptual_hash, plain.force_session_reinit) == (False, False)
