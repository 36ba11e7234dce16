from dataclasses import replace

import pytest

from livefleet.wire import AuthTokens, BadCredentials
from tests.builders.clock import HandClock
from tests.builders.wire import AUTH_SECRET, a_rng

pytestmark = pytest.mark.unit


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def tokens(clock):
    return AuthTokens(AUTH_SECRET, clock, a_rng())


def test_issue__session_is_eight_hex_characters(tokens):
    one, other = tokens.issue(), tokens.issue()
    assert one.session != other.session
    assert len(one.session) == 8
    assert int(one.session, 16) >= 0
    assert one.expiration == 1_001_800


def test_check__to_the_second(tokens, clock):
    token = tokens.issue()
    clock.time += 1800
    assert tokens.check(token) == token
    clock.time += 1
    with pytest.raises(BadCredentials, match="expired auth token"):
        tokens.check(token)
    assert tokens.is_ours(token)


def test_check__later_expiration_written_in__is_invalid(tokens):
    forged = replace(tokens.issue(), expiration=2_000_000)
    with pytest.raises(BadCredentials, match="invalid auth token"):
        tokens.check(forged)


def test_check__negative_expiration__is_invalid(tokens):
    assert not tokens.is_ours(replace(tokens.issue(), expiration=-1))


def test_check__none__is_missing(tokens):
    with pytest.raises(BadCredentials, match="missing auth token"):
        tokens.check(None)


def test_other_secret__does_not_know_it(tokens, clock):
    assert not AuthTokens(b"x" * 32, clock, a_rng()).is_ours(tokens.issue())
