import pytest

from livefleet.media.metering import Meter, Usage

pytestmark = pytest.mark.unit


class Process:
    def __init__(self):
        self.pid, self.cpu_s, self.now = 1, 0.0, 0.0

    def read(self):
        return None if self.pid is None else (self.pid, self.cpu_s)

    def passes(self, seconds, cpu_s):
        self.now += seconds
        self.cpu_s += cpu_s


@pytest.fixture
def process():
    return Process()


@pytest.fixture
def meter(process):
    return Meter(process.read, lambda: process.now)


def test_meter__one_job__has_all_that_was_used_meanwhile(process, meter):
    process.passes(5, 1)
    meter.begin(1, 10)
    process.passes(2, 3)
    assert meter.end(1) == Usage(cpu_s=3, place_s=2)


def test_meter__two_jobs__share_by_weight_while_both_run(process, meter):
    meter.begin(1, 3)
    process.passes(1, 1)
    meter.begin(2, 1)
    process.passes(2, 4)
    assert meter.end(1) == Usage(cpu_s=1 + 3, place_s=3)
    process.passes(1, 1)
    assert meter.end(2) == Usage(cpu_s=1 + 1, place_s=3)


def test_meter__idle_time__is_nobodys(process, meter):
    meter.begin(1, 1)
    meter.end(1)
    process.passes(10, 5)
    meter.begin(2, 1)
    process.passes(1, 1)
    assert meter.end(2).cpu_s == 1


def test_meter__another_process__counts_from_its_start(process, meter):
    process.cpu_s = 100.0
    meter.begin(1, 1)
    process.pid, process.cpu_s = 2, 0.5
    assert meter.end(1).cpu_s == 0.5


def test_meter__no_process__is_no_cpu_time(process, meter):
    meter.begin(1, 1)
    process.pid = None
    process.passes(1, 0)
    assert meter.end(1) == Usage(0, 1)
