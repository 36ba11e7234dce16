import pytest

from livefleet.ai.advertising import advertised, conditions
from livefleet.ai.watch import RunnerState
from livefleet.kernel import Status
from tests.builders.ai import MODEL_ID, a_view, an_advert

pytestmark = pytest.mark.unit


def test_advertised__several_runners__are_summed_with_the_lowest_version():
    runners = [
        a_view(capacity=2, in_use=1, runner_version="0.14.1"),
        a_view(capacity=3, in_use=2, runner_version="0.9.12"),
        a_view(runner_version="undefined"),
        a_view(model_id="b/other"),
    ]
    assert advertised(runners) == (
        an_advert(model_id="b/other"),
        an_advert(capacity=6, capacity_in_use=3, runner_version="0.9.12"),
    )


@pytest.mark.parametrize("state", [s for s in RunnerState if s is not RunnerState.READY])
def test_advertised__warm_and_not_answering__is_not_told_of(state: RunnerState):
    assert advertised([a_view(state=state)]) == ()
    assert a_view(state=state).free == 0


def test_advertised__one_of_two_answers__its_capacity_alone_is_told():
    assert advertised([a_view(), a_view(state=RunnerState.LOST)])[0].capacity == 1


def test_advertised__cold__is_told_as_cold_until_it_is_loaded():
    cold = a_view(declared_warm=False, state=RunnerState.COLD, runner_version="")
    assert advertised([cold]) == (an_advert(warm=False, runner_version=""),)
    assert cold.free == 1
    assert advertised([a_view(declared_warm=False)])[0].warm
    for state in (RunnerState.LOST, RunnerState.HUNG, RunnerState.UNLOADED):
        assert advertised([a_view(declared_warm=False, state=state)]) == ()


def test_conditions__states__become_statuses():
    def status(**fields: object) -> tuple[Status, bool]:
        (condition,) = conditions([a_view(**fields)])
        assert (condition.name, condition.subject) == ("ModelWarm", MODEL_ID)
        return condition.status, condition.gates_ready

    assert status() == (Status.TRUE, True)
    assert status(state=RunnerState.LOADING) == (Status.UNKNOWN, True)
    assert status(state=RunnerState.LOST, faulty=True) == (Status.FALSE, True)
    # Being started again is no cure yet: the fault stands until it answers.
    assert status(state=RunnerState.LOADING, faulty=True) == (Status.FALSE, True)
    assert status(declared_warm=False, state=RunnerState.COLD) == (Status.UNKNOWN, False)
    assert status(state=RunnerState.HUNG, faulty=True) == (Status.FALSE, True)
    # Being away on purpose keeps no node from being ready.
    assert status(state=RunnerState.UNLOADED) == (Status.FALSE, False)


def test_conditions__one_of_two_lost__tells_of_the_worst():
    (condition,) = conditions([a_view(), a_view(state=RunnerState.LOST, faulty=True, reason="RunnerDied", message="x")])
    assert (condition.status, condition.reason) == (Status.FALSE, "RunnerDied")
    assert "1 of 2 runners answer" in condition.message


def test_conditions__one_id_in_two_pipelines__neither_hides_the_other():
    found = conditions([a_view(), a_view(pipeline="llm", state=RunnerState.LOST, faulty=True)])
    assert {c.subject: c.status for c in found} == {
        f"{MODEL_ID} (text-to-image)": Status.TRUE,
        f"{MODEL_ID} (llm)": Status.FALSE,
    }


def test_preference__several_runners__a_loaded_one_with_a_place_comes_first():
    cold = a_view(declared_warm=False, state=RunnerState.COLD, capacity=9)
    full, free = a_view(in_use=1), a_view(capacity=2, in_use=1)
    assert max([cold, full, free], key=lambda view: view.preference) is free
    assert max([cold, full], key=lambda view: view.preference) is cold
