"""Which answer of a price feed is believed."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.payments.price_rate import Doubt, Fault, Rate, RateLimits, Verdict, judge

pytestmark = pytest.mark.unit

NOW = 1_800_000_000.0
LIMITS = RateLimits()
AWAY = Fault("NotRead", "0xfeed: no endpoint answers")


def eth(usd, *, age=60.0, source="0xfeed"):
    """The rate at which one ETH is worth `usd`."""
    return Rate(Fraction(10**18) / Fraction(usd), NOW - age, source)


def look(*answers, before=None, now=NOW):
    return judge(
        answers, Verdict(before) if before is None or isinstance(before, Rate) else before, now=now, limits=LIMITS
    )


def test_judge__first_answer_ever__is_used():
    assert look(eth(3000)) == Verdict(eth(3000))


@pytest.mark.parametrize("usd", [2500, 2999, 3001, 3600])
def test_judge__step_within_the_limit__is_used(usd):
    assert look(eth(usd), before=eth(3000, age=3600)) == Verdict(eth(usd))


def test_judge__stale_answer__leaves_the_last_good_one():
    verdict = look(eth(3100, age=90_001), before=eth(3000, age=90_050))

    assert verdict.rate == eth(3000, age=90_050)
    assert verdict.fault.reason == "Stale"


def test_judge__stale_answer_and_a_fresh_second_feed__uses_the_second():
    verdict = look(eth(3100, age=90_001), eth(3050, source="0xsecond"), before=eth(3000, age=90_050))

    assert verdict.rate.source == "0xsecond"
    assert verdict.fault.reason == "Stale"


def test_judge__nothing_answers__leaves_what_was():
    assert look(AWAY, before=eth(3000)) == Verdict(eth(3000), AWAY)
    assert look(AWAY) == Verdict(None, AWAY)


def test_judge__answer_from_the_future__is_not_believed():
    assert look(eth(3000, age=-7200)).fault.reason == "FromTheFuture"


def test_judge__lagging_endpoint__does_not_bring_an_older_answer_back():
    assert look(eth(2990, age=900), before=eth(3000, age=60)) == Verdict(eth(3000, age=60))


def test_judge__jump__waits_with_the_last_good_rate():
    verdict = look(eth(2000), before=eth(3000))

    assert verdict.rate == eth(3000)
    assert verdict.fault.reason == "Jumped"
    assert verdict.doubt == Doubt(eth(2000), NOW)
    assert "3000.00 to 2000.00 USD" in verdict.fault.message


def test_judge__jump_that_a_second_feed_sees_too__is_used():
    assert look(eth(2000), eth(2040, source="0xsecond"), before=eth(3000)) == Verdict(eth(2000))


def test_judge__jump_that_a_second_feed_does_not_see__uses_the_second():
    verdict = look(eth(300_000), eth(3010, source="0xsecond"), before=eth(3000, age=70))

    assert verdict.rate == eth(3010, source="0xsecond")
    assert verdict.fault.reason == "Jumped"


def test_judge__jump_that_is_still_there_ten_minutes_later__is_used():
    first = look(eth(2000), before=eth(3000))
    soon = look(eth(2010, age=-300), before=first, now=NOW + 300)
    later = look(eth(1990, age=-600), before=soon, now=NOW + 600)

    assert soon.rate == eth(3000)
    assert soon.doubt == first.doubt
    assert later == Verdict(eth(1990, age=-600))


def test_judge__jump_that_goes_on_jumping__starts_to_wait_again():
    first = look(eth(2000), before=eth(3000))
    second = look(eth(1000), before=first, now=NOW + 900)

    assert second.rate == eth(3000)
    assert second.doubt.since == NOW + 900


def test_judge__jump_that_was_gone_meanwhile__is_forgotten():
    first = look(eth(2000), before=eth(3000))
    back = look(eth(3001), before=first, now=NOW + 60)

    assert back == Verdict(eth(3001))


usd = st.fractions(Fraction(1, 100), 10**6)


@given(st.lists(usd, min_size=1, max_size=20))
def test_judge__one_feed_looked_at_every_minute__never_steps_further_than_the_limit(values):
    verdict = look(eth(3000))
    for index, value in enumerate(values[:9]):  # ten minutes confirm any jump
        now = NOW + 60 * (index + 1)
        before, verdict = verdict, look(Rate(10**18 / value, now, "0xfeed"), before=verdict, now=now)
        low, high = sorted((before.rate.wei_per_usd, verdict.rate.wei_per_usd))
        assert high <= low * (1 + LIMITS.max_step)


def test_usd_per_eth__is_told_to_the_cent():
    assert eth("3123.456").usd_per_eth == "3123.46"
    assert eth("0.05").usd_per_eth == "0.05"
