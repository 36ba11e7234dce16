"""What a deploy tells, as what became of a host in a rollout."""

import pytest

from livefleet.control import HostResult, Outcome
from livefleet.control.rollout import Change, went_back
from livefleet.control.rollout.work import _changed, _restored

pytestmark = pytest.mark.unit

BACK = "the service did not start; its last lines:\nboom\nwent back to 0.1.0-abc"


@pytest.mark.parametrize(
    ("reason", "release"),
    [
        (BACK, "0.1.0-abc"),
        ("the agent is not ready\nwent back to 0.1.0-abc, which does not serve either", None),
        ("nothing older is kept here to go back to", None),
        ("it went back to sleep", None),
        ("", None),
    ],
)
def test_went_back__only_where_the_old_one_serves(reason, release):
    assert went_back(reason) == release


@pytest.mark.parametrize(
    ("result", "change"),
    [
        (HostResult("h", Outcome.CHANGED, ("config",)), Change.CHANGED),
        (HostResult("h", Outcome.UNCHANGED), Change.UNCHANGED),
        (HostResult("h", Outcome.UNCHANGED, notes=("driver: waiting for its window, 02:00",)), Change.LATER),
        (HostResult("h", Outcome.CHANGED, notes=("driver: waiting for its window, 02:00",)), Change.CHANGED),
        (HostResult("h", Outcome.FAILED, failed_step="service", reason=BACK), Change.WENT_BACK),
        (HostResult("h", Outcome.FAILED, failed_step="connect", reason="timed out"), Change.FAILED),
        (None, Change.FAILED),
    ],
)
def test_changed__follows_from_the_result(result, change):
    assert _changed(result, "h").change is change


def test_changed__failure__keeps_the_step_and_the_reason():
    text = _changed(HostResult("h", Outcome.FAILED, failed_step="service", reason=BACK), "h").text
    assert text.startswith("service: the service did not start")


def test_restored__failure__says_why():
    verdict = _restored(HostResult("h", Outcome.FAILED, reason="nothing older than x is kept here"))
    assert (verdict.passed, verdict.text) == (False, "and could not go back: nothing older than x is kept here")
    assert _restored(HostResult("h", Outcome.CHANGED, notes=("rollback: switch from b back to a",))).passed
