import pytest

from livefleet.media.other_load import OtherLoad

pytestmark = pytest.mark.unit


class Machine:
    def __init__(self):
        self.time, self.busy, self.ours = 10.0, 500.0, {7: 100.0}

    def passes(self, seconds, *, others, ours):
        self.time += seconds
        self.busy += seconds * (others + ours)
        self.ours = {pid: used + seconds * ours for pid, used in self.ours.items()}


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def load(machine):
    return OtherLoad(lambda: machine.busy, lambda: list(machine.ours.items()), lambda: machine.time)


def test_look__first__knows_nothing(load):
    load.look()
    assert load.cores == 0


def test_look__steady__is_what_others_use(machine, load):
    for _ in range(5):
        load.look()
        machine.passes(2, others=0.75, ours=1)
    assert load.cores == pytest.approx(0.75)


def test_look__a_peak__moves_the_average_little(machine, load):
    load.look()
    machine.passes(1, others=0, ours=1)
    load.look()
    machine.passes(1, others=2, ours=0)
    load.look()
    assert load.cores == pytest.approx(0.6)


def test_look__another_process_of_ours__counts_from_its_start(machine, load):
    load.look()
    machine.passes(1, others=1, ours=0)
    machine.busy += 0.5
    machine.ours = {8: 0.5}
    load.look()
    assert load.cores == pytest.approx(1)


def test_look__clocks_disagree__is_never_negative(machine, load):
    load.look()
    machine.time += 1
    machine.ours[7] += 5
    load.look()
    load.look()
    assert load.cores == 0
