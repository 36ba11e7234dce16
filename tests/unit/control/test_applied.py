"""Paid jobs after an apply: whether, of whom, and what is written down."""

import pytest

from livefleet.control import FleetStatus, HostResult, HostStatus, NodeReport, Outcome, SmokeResult, Summary
from livefleet.control.applied import ApplySmoke, decide_smoke, smoke_applied
from livefleet.kernel import ExitCode, OutsideWorld
from livefleet.spec import DrainReport, DrainScope, DrainState
from tests.builders.spec import a_fleet

pytestmark = pytest.mark.unit

FLEET = """\
name: demo
network: {network}
keys: {{o: {{file: o}}, payer: {{env: PAYER}}}}
secrets: {{pool: {{env: POOL}}, scrape: {{env: SCRAPE}}}}
defaults: {{monitoring: {{scrape: {{token: scrape}}}}}}
smoke: {smoke}
hosts:
  orch:
    address: a.example.com
    role: orchestrator
    orchestrator: {{service_uri: 'https://orch.example.com:8935', key: o, worker_secret: pool}}
  gpu:
    address: b.example.com
    role: worker
    duties: [transcoding]
    worker: {{orchestrator: 'a.example.com:8935', secret: pool}}
  mon: {{address: c.example.com, role: monitor}}
"""
CHAIN = "{name: arbitrum-one-mainnet, rpc: ['http://127.0.0.1:1/']}"
NO_KEY = "no `smoke.key` is declared"


def the_fleet(folder, *, network="offchain", smoke="{}"):
    return a_fleet(folder, FLEET.format(network=network, smoke=smoke))


@pytest.mark.parametrize(
    ("network", "smoke", "asked", "decided"),
    [
        (CHAIN, "{key: payer}", None, ApplySmoke(wanted=True)),
        (CHAIN, "{key: payer, after_apply: false}", None, ApplySmoke(wanted=False)),
        (CHAIN, "{key: payer}", False, ApplySmoke(wanted=False)),
        (CHAIN, "{}", None, ApplySmoke(wanted=False, why_not=NO_KEY)),
        (CHAIN, "{after_apply: false}", None, ApplySmoke(wanted=False)),
        ("offchain", "{}", None, ApplySmoke(wanted=False)),
        ("offchain", "{after_apply: true}", None, ApplySmoke(wanted=True)),
        ("offchain", "{after_apply: false}", True, ApplySmoke(wanted=True, unchanged_too=True)),
    ],
)
def test_decision__flag_then_spec_then_whether_an_account_can_pay(tmp_path, network, smoke, asked, decided):
    assert decide_smoke(the_fleet(tmp_path, network=network, smoke=smoke), (), asked) == decided


def test_decision__no_host_that_serves_gateways__is_no(tmp_path):
    fleet = the_fleet(tmp_path, network=CHAIN)
    assert decide_smoke(fleet, ("mon",), None) == ApplySmoke(wanted=False)
    assert decide_smoke(fleet, ("mon",), asked=True) == ApplySmoke(wanted=False)


def a_summary(**outcomes: Outcome) -> Summary:
    return Summary(tuple(HostResult(host, outcome) for host, outcome in outcomes.items()))


def test_hosts__changed_ones_that_serve_gateways__and_unchanged_ones_only_where_asked(tmp_path):
    fleet = the_fleet(tmp_path)
    changed = a_summary(orch=Outcome.CHANGED, gpu=Outcome.UNCHANGED, mon=Outcome.CHANGED)
    assert ApplySmoke(wanted=True).hosts_of(fleet, changed) == ["orch"]
    assert ApplySmoke(wanted=True, unchanged_too=True).hosts_of(fleet, changed) == ["orch", "gpu"]
    failed = a_summary(orch=Outcome.FAILED, gpu=Outcome.UNCHANGED)
    assert ApplySmoke(wanted=True).hosts_of(fleet, failed) == []


def a_status(host: str, *, drained: bool = False) -> HostStatus:
    scope = DrainScope(state=DrainState.DRAINED, reason="new fan", since=0, deadline_in_s=0, sessions=0, segments=0)
    drain = DrainReport(state=scope.state, scopes=(scope,)) if drained else DrainReport()
    report = NodeReport(version="1", name=host, role="worker", digest="d", ready=True, drain=drain)
    return HostStatus(host, "worker", "d", report)


def tried(fleet, *, fails=(), drained=(), unwritten=()):
    noted, unnoted = [], []

    def note(_fleet, host, deed):
        if host in unwritten:
            raise OutsideWorld("disk full")
        noted.append((host, deed.action, deed.outcome, deed.who, deed.text))

    summary = smoke_applied(
        fleet,
        a_summary(orch=Outcome.CHANGED, gpu=Outcome.CHANGED),
        ["orch", "gpu"],
        lambda host: SmokeResult(host, host not in fails, f"video of {host}\nmore", 1.0),
        who="me@here",
        sleep=lambda _: None,
        on_result=lambda _: None,
        on_unnoted=lambda host, why: unnoted.append((host, why)),
        look=lambda _fleet, hosts: FleetStatus(tuple(a_status(host, drained=host in drained) for host in hosts)),
        note=note,
    )
    return summary, noted, unnoted


def test_tried__all_passed__is_done_and_in_each_hosts_journal(tmp_path):
    summary, noted, unnoted = tried(the_fleet(tmp_path))
    assert summary.exit_code is ExitCode.DONE
    assert noted == [
        ("orch", "smoke", "passed", "me@here", "video of orch"),
        ("gpu", "smoke", "passed", "me@here", "video of gpu"),
    ]
    assert unnoted == []


@pytest.mark.parametrize("fails", [{"gpu"}, {"gpu", "orch"}])
def test_tried__some_or_all_fail__is_partly(tmp_path, fails):
    summary, noted, _ = tried(the_fleet(tmp_path), fails=fails)
    assert summary.exit_code is ExitCode.PARTLY_FAILED
    assert {host for host, _, outcome, *_ in noted if outcome == "failed"} == fails


def test_tried__drained_host__is_left_out_with_the_reason(tmp_path):
    summary, noted, _ = tried(the_fleet(tmp_path), drained={"gpu"}, fails={"gpu"})
    assert summary.smoke is not None
    assert summary.smoke.left_out == {"gpu": "drained (new fan)"}
    assert [host for host, *_ in noted] == ["orch"]
    assert summary.exit_code is ExitCode.DONE


def test_tried__journal_cannot_be_written__is_said_and_the_result_stands(tmp_path):
    summary, _, unnoted = tried(the_fleet(tmp_path), unwritten={"gpu"})
    assert unnoted == [("gpu", "disk full")]
    assert summary.exit_code is ExitCode.DONE
