"""Which secrets open the door, when, and what is told of the workers."""

import pytest

from livefleet.kernel import ConditionBoard, Status
from livefleet.wire.server.worker_gate import CONDITION, SecretAge, WorkerGate, WorkerSecrets
from livefleet.wire.worker.secret import ShownSecret
from tests.builders.clock import HandClock

pytestmark = pytest.mark.unit

NOW = 1_800_000_000.0
UNTIL = NOW + 60


class Workers:
    """A way in with these workers: peer to what it showed."""

    def __init__(self, **shown):
        self.joined = {peer: secret.encode() for peer, secret in shown.items()}

    def shown(self):
        return list(self.joined.items())

    def turn_out(self, shown):
        self.joined = {peer: secret for peer, secret in self.joined.items() if secret not in shown}


def a_gate(secrets, *doorways, clock=None):
    clock = clock or HandClock(NOW)
    board = ConditionBoard(clock)
    gate = WorkerGate(secrets, clock=clock, board=board)
    for doorway in doorways:
        gate.watch(doorway)
    gate.look()
    return gate, board


def told(board):
    return next((c for c in board.all() if c.name == CONDITION), None)


@pytest.mark.parametrize(
    ("shown", "at", "age"),
    [
        (b"new", NOW, SecretAge.CURRENT),
        (b"old", NOW, SecretAge.FORMER),
        (b"old", UNTIL - 0.1, SecretAge.FORMER),
        (b"old", UNTIL, None),
        (b"new", UNTIL, SecretAge.CURRENT),
        (b"", NOW, None),
        (b"guess", NOW, None),
    ],
)
def test_age__of_what_is_shown__by_the_clock(shown, at, age):
    gate, _ = a_gate(WorkerSecrets("new", "old", UNTIL), clock=HandClock(at))
    assert gate.age_of(shown) is age


def test_secrets__an_empty_one__is_no_secret_and_none_is_printed():
    for wrong in (("", None), ("new", "")):
        with pytest.raises(ValueError, match="secret"):
            WorkerSecrets(*wrong)
    assert "new" not in repr(WorkerSecrets("new", "old", UNTIL))


def test_look__no_former_secret__tells_nothing():
    _, board = a_gate(WorkerSecrets("new"), Workers(a="new"))
    assert told(board) is None


def test_look__workers_on_the_former__are_named_and_it_may_not_be_dropped():
    gate, board = a_gate(WorkerSecrets("new", "old", UNTIL), Workers(a="new", b="old"), Workers(c="old"))
    assert gate.on_former() == ["b", "c"]
    condition = told(board)
    assert (condition.status, condition.reason) == (Status.FALSE, "SomeOnFormer")
    assert condition.message.startswith("2 of 3 workers show the former secret, taken until 2027-01-15 08:01 UTC: b, c")


@pytest.mark.parametrize(
    ("workers", "at", "reason"),
    [
        (Workers(a="new"), NOW, "AllMoved"),
        (Workers(), NOW, "NoWorkers"),
        (Workers(a="new", b="old"), UNTIL, "WindowOver"),
    ],
)
def test_look__window__says_how_far_it_is(workers, at, reason):
    _, board = a_gate(WorkerSecrets("new", "old", UNTIL), workers, clock=HandClock(at))
    assert told(board).reason == reason


def test_look__window_over__workers_on_the_former_are_turned_out_and_no_other():
    workers = Workers(a="new", b="old")
    a_gate(WorkerSecrets("new", "old", UNTIL), workers, clock=HandClock(UNTIL))
    assert list(workers.joined) == ["a"]


def test_take__another_secret_without_a_window__turns_all_others_out_at_once():
    workers = Workers(a="new", b="old")
    gate, _ = a_gate(WorkerSecrets("old", "new", UNTIL), workers)
    gate.take(WorkerSecrets("new"))
    assert list(workers.joined) == ["a"]


def test_shown_secret__new_one_refused__shows_the_one_before_and_tries_again_later():
    clock = HandClock()
    secret = ShownSecret("old", clock)
    assert secret.take("new")
    assert not secret.take("new")
    assert secret.text == "new"
    assert secret.was_refused("new")
    assert secret.text == "old"
    assert not secret.was_refused("old"), "both were refused: this worker is not welcome"
    clock.time += 31
    assert secret.text == "new"


def test_shown_secret__the_only_one_is_refused__there_is_no_other():
    assert not ShownSecret("only", HandClock()).was_refused("only")
