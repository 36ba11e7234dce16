import pytest

from livefleet.media.poison import PoisonMemory

pytestmark = pytest.mark.unit


class HandClock:
    def __init__(self):
        self.time = 1000.0

    def now(self):
        return self.time

    def monotonic(self):
        return self.time


@pytest.fixture
def clock():
    return HandClock()


def test_strike__second_loss__makes_it_poison(clock):
    memory = PoisonMemory(clock)
    assert not memory.is_poison(b"a")
    assert memory.strike(b"a") == 1
    assert not memory.is_poison(b"a")
    assert memory.strike(b"a") == 2
    assert memory.is_poison(b"a")
    assert not memory.is_poison(b"b")


def test_acquit__came_through__starts_anew(clock):
    memory = PoisonMemory(clock)
    memory.strike(b"a")
    memory.acquit(b"a")
    memory.acquit(b"never seen")
    memory.strike(b"a")
    assert not memory.is_poison(b"a")


def test_is_poison__after_its_time__is_tried_again(clock):
    memory = PoisonMemory(clock, ttl_s=60)
    memory.strike(b"a")
    clock.time += 59
    memory.strike(b"a")
    clock.time += 59
    assert memory.is_poison(b"a")
    clock.time += 1
    assert not memory.is_poison(b"a")
    assert len(memory) == 0


def test_strike__too_many_segments__forgets_the_one_longest_quiet(clock):
    memory = PoisonMemory(clock, capacity=2)
    for digest in (b"a", b"a", b"b", b"b", b"a", b"c"):
        memory.strike(digest)
    assert len(memory) == 2
    assert memory.is_poison(b"a")
    assert not memory.is_poison(b"b")
