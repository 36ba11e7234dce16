"""A run's events folded into what became of each host."""

import json

import pytest

from livefleet.control import Outcome, Summary, parse_event, summarize
from livefleet.kernel import ExitCode

pytestmark = pytest.mark.unit


def summary_of(*events: dict[str, object]) -> Summary:
    parsed = [parse_event(json.dumps(event)) for event in events]
    return summarize(event for event in parsed if event is not None)


def begin(*hosts: str, dry: bool = False) -> dict[str, object]:
    return {"event": "begin", "hosts": hosts, "dry": dry}


def done(host: str, step: str, *, changed: bool) -> dict[str, object]:
    return {"event": "done", "host": host, "step": step, "changed": changed}


def failed(host: str, step: str, reason: str) -> dict[str, object]:
    return {"event": "failed", "host": host, "step": step, "reason": reason}


END: dict[str, object] = {"event": "end"}


def test_summary__one_changed_one_not__exits_0() -> None:
    found = summary_of(begin("a", "b"), done("a", "config", changed=True), done("b", "config", changed=False), END)
    assert [(h.host, h.outcome, h.changes) for h in found.hosts] == [
        ("a", Outcome.CHANGED, ("config",)),
        ("b", Outcome.UNCHANGED, ()),
    ]
    assert found.exit_code is ExitCode.DONE


def test_summary__one_host_unreachable__others_go_on_and_it_exits_1() -> None:
    reason = "Could not connect ([Errno 113] No route to host)"
    found = summary_of(begin("a", "b"), failed("a", "connect", reason), done("b", "agent", changed=True), END)
    assert [h.outcome for h in found.hosts] == [Outcome.FAILED, Outcome.CHANGED]
    assert found.hosts[0].reason == reason
    assert "check that a is up" in found.hosts[0].advice
    assert found.exit_code is ExitCode.PARTLY_FAILED


def test_summary__wrong_ssh_key__says_which_and_what_to_do() -> None:
    reason = "Authentication error (username=root, key=/keys/wrong) (Authentication failed.)"
    (host,) = summary_of(begin("gpu-1"), failed("gpu-1", "connect", reason), END).hosts
    assert "/keys/wrong" in host.reason
    assert "authorized_keys on gpu-1" in host.advice


def test_summary__run_breaks_off__no_host_counts_as_done() -> None:
    found = summary_of(begin("a"), done("a", "config", changed=True))
    assert found.hosts[0].outcome is Outcome.FAILED
    assert found.exit_code is ExitCode.PARTLY_FAILED


def test_summary__dry__tells_what_would_change() -> None:
    found = summary_of(begin("a", "b", dry=True), {"event": "planned", "host": "a", "changes": ["agent"]}, END)
    assert [(h.outcome, h.changes) for h in found.hosts] == [
        (Outcome.WOULD_CHANGE, ("agent",)),
        (Outcome.UNCHANGED, ()),
    ]


def test_summary__dry_and_preflight_refuses__is_a_failure_with_its_reason() -> None:
    found = summary_of(
        begin("a", dry=True),
        {"event": "note", "host": "a", "step": "preflight", "text": "Python 3.9 is too old"},
        {"event": "planned", "host": "a", "changes": ["preflight"]},
        END,
    )
    assert (found.hosts[0].outcome, found.hosts[0].reason) == (Outcome.FAILED, "Python 3.9 is too old")
    assert found.exit_code is ExitCode.PARTLY_FAILED


@pytest.mark.parametrize("what", ["started", "restarted", "reloaded"])
def test_summary__agent_went_through_something__is_told(what: str) -> None:
    told = {"event": "agent", "host": "a", "what": what}
    found = summary_of(begin("a", "b"), told, done("a", "service", changed=True), END)
    assert [host.agent for host in found.hosts] == [what, ""]


def test_summary__host_is_no_longer_as_planned__says_to_plan_again() -> None:
    (host,) = summary_of(begin("a"), failed("a", "plan", "no longer as planned"), END).hosts
    assert (host.outcome, host.advice) == (
        Outcome.FAILED,
        "nothing was done there: look at what has changed, and plan again",
    )


def test_event__line_of_a_library__is_none() -> None:
    assert parse_event("CryptographyDeprecationWarning: x") is None
    assert parse_event('{"event": "unheard"}') is None
