import pytest

from livefleet.ai.runner_pulse import PULSE_LOOK_S, Pulse
from livefleet.ai.watch import WatchLimits

pytestmark = pytest.mark.unit


def silence_after(*looks: tuple[int, float]) -> float:
    """Of (beats so far, seconds at the look), from a first look at 0 s with 5 beats."""
    pulse = Pulse(5, 0.0)
    for beats, now in looks:
        pulse = pulse.after(beats, now=now)
    return pulse.silence_s


def test_pulse__beats_go_on__no_silence():
    assert silence_after((6, 0.2), (7, 0.4), (8, 0.6)) == 0


def test_pulse__no_beats__the_silence_grows_until_there_is_one():
    assert silence_after((5, 0.2), (5, 0.4), (5, 0.6)) == pytest.approx(0.6)
    assert silence_after((5, 0.2), (5, 0.4), (6, 0.6)) == 0


def test_pulse__the_agent_itself_was_held_up__is_no_silence_of_the_runner():
    # What the runner said in these 30 s is read after this look.
    assert silence_after((5, 30.0)) == pytest.approx(2 * PULSE_LOOK_S)
    assert silence_after((5, 30.0), (150, 30.2)) == 0


def test_limits__a_stopped_runner__is_retracted_within_two_seconds():
    """From its last beat: the look that just saw it, then looks until the silence is long enough."""
    beats, now, pulse = 1, 0.0, Pulse(0, -PULSE_LOOK_S)
    pulse = pulse.after(beats, now=now)
    while pulse.silence_s < WatchLimits().silence_s:
        now += PULSE_LOOK_S * 1.05
        pulse = pulse.after(beats, now=now)
    assert 1 < now + PULSE_LOOK_S < 2
