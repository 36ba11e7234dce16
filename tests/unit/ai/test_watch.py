import pytest

from livefleet.ai.errors import RunnerLost
from livefleet.ai.watch import RunnerHealth, Watch, WatchLimits

pytestmark = pytest.mark.unit

LIMITS = WatchLimits(load_timeout_s=180, failures_to_kill=2)


def looks(*answers: RunnerHealth, now: float = 1.0) -> Watch:
    watch = Watch(started=0.0)
    for answer in answers:
        watch = watch.after(answer, now=now, limits=LIMITS)
    return watch


def test_watch__silent_while_loading__is_waited_for():
    assert not looks(*[RunnerHealth.SILENT] * 50, RunnerHealth.LOADING).ready


def test_watch__loading_past_the_limit__is_lost():
    with pytest.raises(RunnerLost) as lost:
        looks(RunnerHealth.LOADING, now=180.0)
    assert lost.value.reason == "LoadTimeout"


@pytest.mark.parametrize("answer", [RunnerHealth.OK, RunnerHealth.IDLE])
def test_watch__answers__is_ready_and_looked_at_less_often(answer: RunnerHealth):
    watch = looks(RunnerHealth.LOADING, answer)
    assert watch.ready
    assert watch.wait_s(LIMITS) > Watch(started=0).wait_s(LIMITS)


def test_watch__one_miss__is_forgiven_by_the_next_answer():
    silent, fine = RunnerHealth.SILENT, RunnerHealth.OK
    assert looks(fine, silent, fine, silent, fine, silent).ready


@pytest.mark.parametrize("miss", [RunnerHealth.SILENT, RunnerHealth.LATE, RunnerHealth.LOADING])
def test_watch__two_misses_in_a_row__is_lost(miss: RunnerHealth):
    with pytest.raises(RunnerLost) as lost:
        looks(RunnerHealth.OK, miss, miss)
    assert lost.value.reason == "NotAnswering"


def test_watch__runner_reports_an_error__is_lost_at_once():
    with pytest.raises(RunnerLost) as lost:
        looks(RunnerHealth.OK, RunnerHealth.ERROR)
    assert lost.value.reason == "RunnerError"


def test_watch__after_a_miss__is_looked_at_soon_again():
    missed = looks(RunnerHealth.OK, RunnerHealth.LATE)
    assert missed.wait_s(LIMITS) == LIMITS.loading_every_s
