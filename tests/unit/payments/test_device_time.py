"""Who a device's seconds are counted for."""

from collections import defaultdict
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.payments import DeviceUse
from livefleet.payments.device_time import DeviceTimes
from tests.builders.clock import HandClock

pytestmark = pytest.mark.unit

ONE, OTHER = ("llm", "one", "GPU-1"), ("text-to-image", "other", "GPU-1")


class Bench:
    """The stopwatch, time in the test's hands, and what was counted."""

    def __init__(self, **watts):
        self.clock, self.watts = HandClock(), watts
        self.used = defaultdict(DeviceUse)
        self.times = DeviceTimes(monotonic=self.clock.monotonic, power_of=self.watts.get, add=self._add)

    def _add(self, work, seconds, watts):
        self.used[work] = self.used[work].plus(seconds, watts)

    def passes(self, seconds):
        self.clock.time += seconds
        self.times.look()


def test_one_job__its_time_counts__and_idle_time_does_not():
    bench = Bench()
    bench.passes(5)
    with bench.times.busy(ONE, is_here=True):
        bench.clock.time += 2
    bench.passes(7)
    assert bench.used == {ONE: DeviceUse(2.0)}


def test_jobs_of_one_model_at_once__count_the_device_once():
    bench = Bench()
    with bench.times.busy(ONE, is_here=True), bench.times.busy(ONE, is_here=True):
        bench.passes(3)
    assert bench.used[ONE].seconds == 3


def test_models_at_once__share_the_device__however_many_jobs_each_has():
    bench = Bench()
    with bench.times.busy(ONE, is_here=True):
        bench.passes(1)
        with bench.times.busy(OTHER, is_here=True), bench.times.busy(OTHER, is_here=True):
            bench.passes(4)
        bench.passes(1)
    assert (bench.used[ONE].seconds, bench.used[OTHER].seconds) == (4, 2)


def test_elsewhere__each_job_counts_in_full():
    bench = Bench()
    there = ("llm", "one", "workers")
    with bench.times.busy(there, is_here=False), bench.times.busy(there, is_here=False):
        bench.passes(3)
    assert bench.used == {there: DeviceUse(6.0)}


def test_power__is_counted_only_while_it_is_measured():
    bench = Bench(**{"GPU-1": 100.0})
    with bench.times.busy(ONE, is_here=True):
        bench.passes(2)
        del bench.watts["GPU-1"]
        bench.passes(3)
    assert bench.used[ONE] == DeviceUse(seconds=5.0, joules=200.0, measured_s=2.0)


STEPS = st.lists(
    st.tuples(st.sampled_from(["begin", "end", "wait"]), st.integers(0, 3), st.integers(0, 50)), max_size=60
)


@given(STEPS)
def test_shares__add_up_to_the_time_in_which_the_device_had_work(steps):
    bench, jobs, busy_s = Bench(), [], 0.0
    with ExitStack() as still_under_way:
        for act, which, seconds in steps:
            if act == "begin":
                job = ExitStack()
                job.enter_context(bench.times.busy(("llm", f"model-{which}", "GPU-1"), is_here=True))
                still_under_way.push(job)
                jobs.append(job)
            elif act == "end" and jobs:
                jobs.pop(which % len(jobs)).close()
            elif act == "wait":
                busy_s += seconds * bool(jobs)
                bench.passes(seconds)
    assert sum(use.seconds for use in bench.used.values()) == pytest.approx(busy_s)
