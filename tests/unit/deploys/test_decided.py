"""A host's decision as it is told, kept and compared with."""

import json
from typing import Any

import pytest

from deploys.decided import decided, difference_to_plan
from deploys.outcome import Outcome, Shell, Upload, refuse
from livefleet.control import parse_event
from livefleet.control.events import Decided
from livefleet.spec import effects
from tests.builders.deploys import ROOT, a_host, a_node

pytestmark = pytest.mark.unit

SECRET_LINE = "dGVzdC1vbmx5"


def a_step(text: str = "apt-get install nginx-light", **fields: Any) -> Outcome:
    return Outcome(commands=(Shell(text, stdin=fields.pop("stdin", ())),), **fields)


def told(*outcomes: tuple[str, Outcome], node: str = "sha256:aa", release: str = "r1", **facts: Any) -> dict[str, Any]:
    return decided(outcomes, a_host(**facts), node_digest=node, release=release)


def as_planned(now: dict[str, Any]) -> dict[str, Any]:
    return {"host": "a", "outcome": "changes", "reason": "", **now}


def test_decided__as_an_event__is_understood() -> None:
    changed = effects(a_node(), a_node(prices={"video": "7 wei"})).changes
    now = told(("service", a_step("restart", agent="reload", effects=changed)), nvidia_gpus=(("GPU-1", "A4000"),))
    event = parse_event(json.dumps({"event": "decided", "host": "a", **now}))
    assert isinstance(event, Decided)
    assert (event.agent, event.effects[0].takeover) == ("reload", "live")
    assert event.hardware is not None
    assert event.hardware.gpus[0].uuid == "GPU-1"


def test_decided__what_goes_by_stdin__is_neither_shown_nor_in_a_digest() -> None:
    one = told(("config", a_step("write", stdin=(SECRET_LINE,), diff=("/s/join: differs (content not shown)",))))
    other = told(("config", a_step("write", stdin=("b3RoZXI=",), diff=("/s/join: differs (content not shown)",))))
    assert SECRET_LINE not in json.dumps(one)
    assert one == other


def test_decided__url_in_a_diff__shows_its_host_alone_and_counts_whole() -> None:
    one = told(("config", a_step(diff=("+  - https://rpc.example/v2/KEY-ONE",))))
    other = told(("config", a_step(diff=("+  - https://rpc.example/v2/KEY-TWO",))))
    assert one["steps"][0]["diff"] == other["steps"][0]["diff"] == ["+  - https://rpc.example/…"]
    assert one["digest"] != other["digest"]


@pytest.mark.parametrize(
    "other",
    [
        told(("packages", a_step("apt-get install python3"))),
        told(("packages", a_step(diff=("+a",)))),
        told(("packages", Outcome())),
        told(("packages", a_step()), node="sha256:bb"),
        told(("packages", a_step()), release="r2"),
        told(("packages", refuse("no"))),
        told(("packages", Outcome(commands=(Upload(ROOT / "a.whl", "/opt/a.whl"),)))),
    ],
)
def test_decided__anything_else_would_be_done__is_another_digest(other: dict[str, Any]) -> None:
    assert other["digest"] != told(("packages", a_step()))["digest"]


def test_decided__words_of_the_day__do_not_count() -> None:
    assert (
        told(("preflight", Outcome(notes=("the clock is +12 s off",))))["digest"]
        == told(("preflight", Outcome(notes=("the clock is +13 s off",))))["digest"]
    )


def test_decided__who_does_it__does_not_count() -> None:
    alice = told(("service", a_step("note alice; restart", agent="restart")))
    bob = told(("service", a_step("note bob; restart", agent="restart")))
    assert alice["digest"] == bob["digest"]


def test_decided__stamp_in_a_command_of_config__does_not_count() -> None:
    write = {"notes": ("write /s/join",), "diff": ("/s/join: differs (content not shown)",)}
    one, other = (told(("config", a_step(f"echo {stamp} > good", **write))) for stamp in ("0a", "0b"))
    assert one == other
    assert one["digest"] != told(("config", a_step("echo 0a > good", notes=("write /s/other",))))["digest"]


# -- against a plan


def test_difference__same__is_none() -> None:
    now = told(("packages", a_step()))
    assert difference_to_plan(as_planned(now), now) is None


def test_difference__each_cause__is_named() -> None:
    planned = as_planned(told(("packages", a_step()), ("service", a_step("s", agent="reload"))))
    now = told(("packages", Outcome()), ("service", a_step("s", agent="restart")), node="sha256:bb", release="r2")
    assert difference_to_plan(planned, now) == (
        "no longer as planned: its specification is another one; the release is r2, not r1; the agent would restart, "
        "not be told; other things would be done by packages, service; plan again"
    )


def test_difference__host_is_not_in_the_plan_or_could_not_be_planned__is_said() -> None:
    now = told()
    assert difference_to_plan(None, now) == "it is not in the plan; plan again"
    failed = {"host": "a", "outcome": "failed", "reason": "Could not connect"}
    assert difference_to_plan(failed, now) == "it could not be planned: Could not connect; plan again"
