"""Which stream an open session is, and under which tokens."""

import pytest

from livefleet.kernel import SessionId
from livefleet.wire import AuthToken
from livefleet.wire.server.streams import Streams
from tests.builders.clock import HandClock

pytestmark = pytest.mark.unit

ANN, BOB = "0x" + "a" * 40, "0x" + "b" * 40


def token(session, expiration=1_001_800):
    return AuthToken(b"", SessionId(session), expiration)


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def streams(clock):
    streams = Streams(clock)
    streams.working("one", token("one"), ANN, b"live")
    return streams


def test_refreshes__token_nearly_over__only_then_and_only_for_its_sender(streams, clock):
    assert not streams.refreshes(ANN)
    clock.time += 1501
    assert streams.refreshes(ANN)
    assert not streams.refreshes(BOB)


def test_to_join__nearly_over__is_the_senders_stream_of_that_name(streams, clock):
    assert streams.to_join(ANN, b"live") is None
    clock.time += 1501
    assert streams.to_join(ANN, b"live") == "one"
    assert streams.to_join(ANN, b"other") is None
    assert streams.to_join(BOB, b"live") is None


def test_working__under_a_new_token__is_known_under_both_names_until_it_ends(streams, clock):
    clock.time += 1501
    streams.working("one", token("two", 1_003_300), ANN, b"live")
    assert streams.place("two") == "one"
    assert not streams.refreshes(ANN)
    assert streams.to_join(ANN, b"live") is None
    streams.ended("one")
    assert streams.place("two") == "two"
    assert streams.to_join(ANN, b"live") is None


def test_working__many_tokens__only_the_last_names_are_kept(streams):
    for number in range(50):
        streams.working("one", token(f"t{number}"), ANN, b"live")
    known = [number for number in range(50) if streams.place(f"t{number}") == "one"]
    assert known == [46, 47, 48, 49]
    streams.ended("one")
    assert not streams._of_name
    assert not streams._places
    assert not streams._of_stream


def test_working__somebody_else_with_the_same_session__does_not_take_it_over(streams, clock):
    streams.working("one", token("one", 2_000_000), BOB, b"live")
    clock.time += 1501
    assert streams.to_join(BOB, b"live") is None
    assert streams.to_join(ANN, b"live") == "one"


def test_ended__stream_has_another_session_by_now__that_one_stays(streams, clock):
    streams.working("newer", token("newer", 1_001_900), ANN, b"live")
    streams.ended("one")
    clock.time += 1700
    assert streams.to_join(ANN, b"live") == "newer"


def test_ended__unknown__is_fine(streams):
    streams.ended("nobody")
