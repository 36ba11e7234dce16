import av
import pytest

from livefleet.media.probing import opens, session_limit

pytestmark = pytest.mark.component


class Driver:
    """Lets so many encoders be open at once, as NVENC does: real ones, and FFmpeg's own refusal."""

    def __init__(self, most):
        self.free = most

    def open_one(self):
        if not self.free:
            av.open("/nonexistent.ts")
        self.free -= 1
        return object()


@pytest.mark.parametrize(("allowed", "found"), [(0, 0), (3, 3), (8, 8)])
def test_session_limit__driver_refuses__is_what_was_open(allowed, found):
    assert session_limit(Driver(allowed).open_one, most=12) == found


def test_session_limit__all_open__is_none():
    assert session_limit(Driver(100).open_one, most=5) == 0


def test_opens__encoder_of_this_machine__has_no_problem():
    assert opens("libx264") == ""


@pytest.mark.parametrize("name", ["no_such_encoder"])
def test_opens__unknown__says_so(name):
    assert name in opens(name)
