from typing import Any

import pytest

from livefleet.cli.models.agent_status import load_text, not_placed, runners_of
from livefleet.cli.models.load_bar import LoadBar

pytestmark = pytest.mark.unit


def a_runner(state: str = "loading", **loading: Any) -> dict[str, Any]:
    told = {"step": "pipeline", "step_s": 4.0, "elapsed_s": 4.0, "expected_s": 9.0, "is_measured": True} | loading
    return {"pipeline": "llm", "model_id": "a/b", "device": "cpu", "state": state, "loading": told}


def test_load_text__steps__with_the_time_that_it_took_before():
    assert load_text(a_runner()) == "loading: pipeline, 4 of 9 s"
    assert load_text(a_runner(is_measured=False)) == "loading: pipeline, 4 of about 9 s"
    assert load_text(a_runner(step="weights", elapsed_s=0.0, step_s=7.0)) == "loading: weights, 7 s"
    assert load_text({"state": "lost", "loading": None}) == "lost"


def test_bar__no_terminal__says_each_step_once(capsys: pytest.CaptureFixture[str]):
    with LoadBar("a/b", quiet=False) as bar:
        for runner in (a_runner(), a_runner(elapsed_s=5.0), a_runner(step="proof", elapsed_s=8.0)):
            bar.show(runner)
    said = capsys.readouterr()
    assert said.err.splitlines() == ["a/b on cpu: loading: pipeline, 4 of 9 s", "a/b on cpu: loading: proof, 8 of 9 s"]
    assert said.out == ""
    with LoadBar("a/b", quiet=True) as bar:
        bar.show(a_runner())
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("status", [{}, {"model_runners": None}, {"model_runners": {"runners": [3, {}]}}])
def test_runners__of_a_status_without_them__are_none(status: dict[str, Any]):
    assert list(runners_of(status, "llm", "a/b")) == []


def test_not_placed__says_why_the_agent_has_no_runner():
    condition = {"name": "ModelPlaced", "subject": "a/b", "status": "false", "message": "a/b wants GPU 5"}
    assert not_placed({"model_runners": {}, "conditions": [condition]}, "a/b") == "a/b wants GPU 5"
    assert not_placed({"model_runners": {}, "conditions": []}, "a/b") == "the agent has no runner for it"
    assert not_placed({"conditions": [condition]}, "a/b") == ""  # its models are not open yet
