"""What the loop makes of what it knows about the bundle."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from livefleet.kernel import Status
from livefleet.pull import Held, Published, PullError, PullFault, Rejected, Standing
from livefleet.reconcile.resources.pulled_spec import PROVEN_AFTER_S, Looked, Refusal, pulled_plan
from livefleet.spec import PullSettings

NOW = 1_800_000_000.0
EXPIRES = datetime.fromtimestamp(NOW, UTC) + timedelta(days=20)
SETTINGS = PullSettings(url="https://bundles.example.com/home", trust="pull/root.json")
HELD = Held(1, "a" * 64, "sha256:applied")
SAME = Published(3, "a" * 64, 100, EXPIRES)
NEWER = Published(4, "b" * 64, 100, EXPIRES)
LOOKED = Looked(
    standing=Standing(good=HELD),
    published=SAME,
    fault=None,
    refusal=None,
    unseen_for_s=1.0,
    up_for_s=100.0,
    ready_for_s=90.0,
    patience_s=300.0,
    restart_in_s=None,
)


def plan(**changes):
    return pulled_plan(replace(LOOKED, **changes), SETTINGS, NOW)


def summaries(made):
    return [action.summary for action in made.actions]


def test_same_settings__nothing_to_do():
    made = plan()
    assert summaries(made) == []
    (condition,) = made.conditions
    assert (condition.status, condition.reason) == (Status.TRUE, "Current")
    assert "20 days" in condition.message


def test_newer_settings__are_taken():
    assert summaries(plan(published=NEWER)) == ["take version 4 of the bundle"]


def test_newer_settings_while_a_fault_stands__wait():
    assert summaries(plan(published=NEWER, fault=PullError(PullFault.EXPIRED, "expired"))) == []


def test_a_refused_slice__is_left_alone_and_said():
    made = plan(published=NEWER, refusal=Refusal(NEWER.sha256, ("`root` would change",)))
    assert summaries(made) == []
    assert (made.conditions[0].status, made.conditions[0].reason) == (Status.FALSE, "Refused")
    assert "`root` would change" in made.conditions[0].message


def test_a_slice_that_was_put_back__is_never_taken_again():
    lost = Rejected(4, NEWER.sha256, "it did not become ready")
    made = plan(published=NEWER, standing=Standing(good=HELD, rejected=(lost,)))
    assert summaries(made) == []
    assert made.conditions[0].reason == "PutBack"


@pytest.mark.parametrize(
    ("fault", "unseen_for_s", "status"),
    [
        (PullFault.UNREACHABLE, 10.0, Status.UNKNOWN),
        (PullFault.UNREACHABLE, SETTINGS.silence_s + 1, Status.FALSE),
        (PullFault.WRONG_SIGNATURE, 10.0, Status.FALSE),
        (PullFault.OLDER, 10.0, Status.FALSE),
    ],
)
def test_a_fault__is_said_at_once_unless_it_may_pass_by_itself(fault, unseen_for_s, status):
    (condition,) = plan(fault=PullError(fault, "what happened"), unseen_for_s=unseen_for_s).conditions
    assert (condition.status, condition.reason) == (status, fault.value)
    assert not condition.gates_ready


def test_settings_on_trial__count_once_the_node_has_been_ready_for_a_while():
    trial = Standing(trying=HELD)
    assert summaries(plan(standing=trial, ready_for_s=PROVEN_AFTER_S - 1)) == []
    assert "keep" in summaries(plan(standing=trial, ready_for_s=PROVEN_AFTER_S))[0]


def test_settings_on_trial_that_are_not_ready_in_time__are_put_back_where_the_node_was_ready_before():
    late = {"ready_for_s": 0.0, "up_for_s": 301.0}
    assert "put the pulled settings back" in summaries(plan(standing=Standing(trying=HELD), **late))[0]
    never_was = replace(HELD, was_ready=False)
    assert summaries(plan(standing=Standing(trying=never_was), **late)) == []


def test_a_restart__waits_for_its_moment():
    trial = Standing(good=HELD, trying=replace(HELD, sha256=NEWER.sha256))
    waiting = plan(standing=trial, published=NEWER, restart_in_s=12.0)
    assert summaries(waiting) == []
    assert waiting.conditions[0].reason == "Waiting"
    assert waiting.again.after_s <= 1
    assert "restart" in summaries(plan(standing=trial, published=NEWER, restart_in_s=0.0))[0]
