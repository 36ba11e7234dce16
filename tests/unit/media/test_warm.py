import av
import pytest

from livefleet.kernel import SessionId
from livefleet.media.warm import IDLE_S, Shelf, Use

pytestmark = pytest.mark.unit


def a_use(session="s1", place=0, *settings):
    return Use(SessionId(session), place, settings or ("h264_nvenc", 640, 360))


@pytest.fixture
def now():
    return [1000.0]


@pytest.fixture
def shelf(now):
    return Shelf(3, lambda: now[0])


def test_take__kept_for_the_same__is_that_one_and_only_once(shelf):
    shelf.keep(a_use(), "encoder")
    assert shelf.take(a_use()) == "encoder"
    assert shelf.take(a_use()) is None


@pytest.mark.parametrize("other", [a_use("s2"), a_use("s1", 1)])
def test_take__for_another_session_or_place__is_none(other, shelf):
    shelf.keep(a_use(), "encoder")
    assert shelf.take(other) is None
    assert len(shelf) == 1


def test_take__settings_have_changed__lets_the_old_one_go(shelf):
    shelf.keep(a_use(), "encoder")
    assert shelf.take(a_use("s1", 0, "h264_nvenc", 320, 180)) is None
    assert len(shelf) == 0


def test_keep__more_than_there_is_room_for__the_longest_idle_gives_way(shelf):
    for number in range(5):
        shelf.keep(a_use(f"s{number}"), number)
    assert [shelf.take(a_use(f"s{number}")) for number in range(5)] == [None, None, 2, 3, 4]


def test_end__lets_go_of_all_places_of_the_session(shelf):
    shelf.keep(a_use("s1", 0), "a")
    shelf.keep(a_use("s1", 1), "b")
    shelf.keep(a_use("s2", 0), "c")
    shelf.end(SessionId("s1"))
    assert len(shelf) == 1
    shelf.end(SessionId("unknown"))
    assert shelf.take(a_use("s2")) == "c"


def test_end_idle__nobody_came_back__is_gone(shelf, now):
    shelf.keep(a_use("s1"), "old")
    now[0] += IDLE_S - 1
    shelf.keep(a_use("s2"), "young")
    shelf.end_idle()
    assert len(shelf) == 2
    now[0] += 1
    shelf.end_idle()
    assert shelf.take(a_use("s1")) is None
    assert shelf.take(a_use("s2")) == "young"


class Driver:
    """Allows so many encoders, idle ones on the shelf included, and else refuses in FFmpeg's way."""

    def __init__(self, shelf, most):
        self.shelf = shelf
        self.most = most
        self.in_use = 0

    def open_one(self):
        if len(self.shelf) + self.in_use >= self.most:
            av.open("/nonexistent.ts")
        self.in_use += 1
        return "new"


def test_open__driver_refuses__idle_ones_give_way_one_by_one(shelf):
    for number in range(3):
        shelf.keep(a_use(f"s{number}"), number)
    assert shelf.open(Driver(shelf, 2).open_one) == "new"
    assert len(shelf) == 1
    assert shelf.take(a_use("s2")) == 2


def test_open__driver_refuses_and_nothing_is_idle__says_so(shelf):
    with pytest.raises(av.FFmpegError):
        shelf.open(Driver(shelf, 0).open_one)
