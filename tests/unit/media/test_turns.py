import threading

import pytest

from livefleet.media.models import Profile
from livefleet.media.transcode import initial_demand
from livefleet.media.turns import Turns

pytestmark = pytest.mark.unit


def entering(turns, demand, entered, leave):
    """A job on its own thread that stays until `leave`."""

    def run():
        with turns.take(demand) as turn:
            entered.append(turn)
            leave.wait(10)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def settle(condition):
    deadline = threading.Event()
    for _ in range(200):
        if condition():
            return True
        deadline.wait(0.01)
    return condition()


def test_turns__a_core_is_left__the_next_begins_beside():
    turns, entered = Turns(2), []
    leave = threading.Event()
    threads = [entering(turns, 1.5, entered, leave) for _ in range(2)]
    assert settle(lambda: len(entered) == 2)
    leave.set()
    for thread in threads:
        thread.join()


def test_turns__cores_are_taken__the_next_waits_until_less_is_asked():
    turns, entered = Turns(2), []
    leave = threading.Event()
    first = entering(turns, 3.5, entered, leave)
    assert settle(lambda: len(entered) == 1)
    second = entering(turns, 3.5, entered, leave)
    second.join(0.15)
    assert len(entered) == 1
    entered[0].demand(3)
    assert settle(lambda: len(entered) == 2)
    leave.set()
    first.join()
    second.join()


def test_turns__larger_than_the_machine__still_runs():
    with Turns(1).take(8):
        pass


def test_turns__in_the_order_of_asking():
    turns, order = Turns(1), []
    leave = threading.Event()
    threads = [entering(turns, 5, order, leave)]
    assert settle(lambda: len(order) == 1)

    def later(number):
        with turns.take(5):
            order.append(number)

    for number in range(3):
        threads.append(threading.Thread(target=later, args=(number,)))
        threads[-1].start()
        assert settle(lambda number=number: len(turns._waiting) == number + 1)
    leave.set()
    for thread in threads:
        thread.join()
    assert order[1:] == [0, 1, 2]


def test_turns__given_up_while_waiting__does_not_wait_on():
    turns, entered = Turns(1), []
    leave = threading.Event()
    first = entering(turns, 5, entered, leave)
    assert settle(lambda: len(entered) == 1)
    with turns.take(5, lambda: True):
        pass
    leave.set()
    first.join()
    with turns.take(5):
        pass


@pytest.mark.parametrize(
    ("profiles", "cores"),
    [
        ((Profile("a", 640, 360, 1),), 1.5),
        ((Profile("a", 640, 360, 1), Profile("b", 640, 360, 1)), 2.5),
        ((Profile("a", 640, 360, 1, fps=60), Profile("b", 640, 360, 1, fps=30)), 2.0),
        ((Profile("a", 640, 360, 1), Profile("b", 640, 360, 1, fps=15)), 2.0),
        ((), 0.5),
    ],
)
def test_initial_demand__is_reading_and_the_renditions_by_size(profiles, cores):
    assert initial_demand(profiles) == cores
