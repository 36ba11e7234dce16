"""Trying hosts whose agent has just been started."""

from fractions import Fraction

import pytest

from livefleet.control import SmokeJob, SmokeResult, SmokeStage
from livefleet.control.proof import smoke_changed

pytestmark = pytest.mark.unit

GOOD = SmokeJob("video", "2 segments", tickets=1, spent=Fraction(5))


def bad(stage: SmokeStage, *, tickets: int = 0) -> SmokeJob:
    return SmokeJob("video", "no", failed_at=stage, tickets=tickets)


class Host:
    """Answers with these jobs, one after the other; the last of them again and again."""

    def __init__(self, *jobs: SmokeJob) -> None:
        self.jobs = list(jobs)
        self.asked = 0

    def answer(self, name: str) -> SmokeResult:
        job = self.jobs[min(self.asked, len(self.jobs) - 1)]
        self.asked += 1
        return SmokeResult.of(name, [job], 1.0)


def tried(**hosts: Host):
    slept, heard = [], []
    found = smoke_changed(
        list(hosts), lambda name: hosts[name].answer(name), sleep=slept.append, on_result=heard.append
    )
    assert sorted(result.host for result in heard) == sorted(hosts)  # each once
    assert [result.host for result in found.hosts] == list(hosts)
    return [result.passed for result in found.hosts], slept


@pytest.mark.parametrize("stage", [SmokeStage.LOOK, SmokeStage.DISCOVER])
def test_changed__not_offering_its_work_yet__is_tried_again_alone(stage):
    early, other = Host(bad(stage), GOOD), Host(GOOD)
    assert tried(a=early, b=other) == ([True, True], [5.0])
    assert (early.asked, other.asked) == (2, 1)


def test_changed__never_offering__fails_after_three_tries():
    host = Host(bad(SmokeStage.DISCOVER))
    assert tried(a=host) == ([False], [5.0, 5.0])
    assert host.asked == 3


@pytest.mark.parametrize(
    "job", [bad(SmokeStage.PRICE), bad(SmokeStage.WORK), bad(SmokeStage.DISCOVER, tickets=1)], ids=str
)
def test_changed__failed_at_what_time_does_not_mend_or_was_paid__is_tried_once(job):
    host = Host(job, GOOD)
    assert tried(a=host) == ([False], [])
