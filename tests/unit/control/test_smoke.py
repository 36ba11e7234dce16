"""Results of smoke jobs: a host's from its jobs, a fleet's from its hosts."""

from fractions import Fraction

import pytest

from livefleet.control import FleetSmoke, SmokeJob, SmokeResult, SmokeStage, smoke_fleet
from livefleet.kernel import ExitCode, OutsideWorld

pytestmark = pytest.mark.unit

GOOD = SmokeJob("video", "2 segments", tickets=1, spent=Fraction(5))
BAD = SmokeJob("llm a/b", "503 insufficient capacity", failed_at=SmokeStage.WORK, advice="look at its log")


def a_result(host, *jobs):
    return SmokeResult.of(host, jobs, 1.0)


def test_result__all_jobs_passed__tells_what_was_proven():
    assert a_result("a", GOOD) == SmokeResult("a", passed=True, text="video: 2 segments", took_s=1.0, jobs=(GOOD,))


def test_result__one_job_failed__tells_stage_cause_and_advice_of_that_one():
    result = a_result("a", GOOD, BAD)
    assert not result.passed
    assert result.text == "llm a/b failed at work: 503 insufficient capacity (look at its log)"


def test_result__no_job_at_all__has_not_passed():
    assert a_result("a") == SmokeResult("a", passed=False, text="nothing was tried", took_s=1.0)


@pytest.mark.parametrize(
    ("jobs", "code"),
    [
        ([GOOD, GOOD], ExitCode.DONE),
        ([GOOD, BAD], ExitCode.PARTLY_FAILED),
        ([BAD, BAD], ExitCode.OUTSIDE_SAID_NO),
    ],
)
def test_exit_code__by_how_many_hosts_failed(jobs, code):
    assert FleetSmoke(tuple(a_result("h", job) for job in jobs)).exit_code is code


def test_fleet__one_host_raises__is_that_hosts_failure_alone_and_the_order_stays():
    def smoke(host):
        if host == "b":
            raise OutsideWorld("nobody there")
        return a_result(host, GOOD)

    heard = []
    found = smoke_fleet(["a", "b", "c"], smoke, on_result=heard.append, parallel=2)
    assert [(each.host, each.passed) for each in found.hosts] == [("a", True), ("b", False), ("c", True)]
    assert found.hosts[1].text == "nobody there"
    assert sorted(each.host for each in heard) == ["a", "b", "c"]
