"""The plan of a fleet: what it says, how it ends, and that its file is read back."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from livefleet.cli.plan_words import print_plan
from livefleet.control import (
    ChainPart,
    HostChain,
    PlanDocument,
    PlanExit,
    load_plan,
    make_plan,
    parse_event,
    save_plan,
    summarize,
)
from livefleet.kernel import BadInput
from livefleet.spec import Fleet, load_fleet

pytestmark = pytest.mark.unit

GOLDEN = Path(__file__).parent / "plan.json"
HOSTS = ("gpu-1", "gpu-2", "gpu-3")
FLEET = """\
version: 1
name: demo
network: offchain
defaults:
  role: worker
  duties: [transcoding]
  worker: {orchestrator: 'o.example.com:8935', secret: join}
secrets: {join: {file: join.txt}}
hosts:
  gpu-1: {address: gpu-1.example}
  gpu-2: {address: gpu-2.example}
  gpu-3: {address: gpu-3.example, gpus: [GPU-0000aaaa], driver: {branch: 580}}
"""
LIVE = {"path": "prices.video", "before": "1200", "after": "1300", "takeover": "live", "why": "quotes say it"}
CONFIG = {
    "step": "config",
    "changes": True,
    "refusal": "",
    "notes": ["write /etc/livefleet/node.yaml", "write /var/lib/livefleet/secrets/join"],
    "diff": ["-  video: '1200'", "+  video: '1300'", "/var/lib/livefleet/secrets/join: differs (content not shown)"],
    "digest": "c0",
}
SERVICE = {
    "step": "service",
    "changes": True,
    "notes": ["tell the agent; nothing is restarted", "prices.video: 1200 -> 1300: taken over live"],
    "digest": "50",
}
QUIET = {"step": "packages", "changes": False, "digest": "00"}
LOW = {"key": "hot", "address": "0xabc", "balance_wei": 10**15, "warn_below_wei": 10**16}
CUT = {"title": "set the reward cut to 10%", "to": "0xdef", "function": "f(uint256)", "data": "0x", "value": 0}


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET)
    return load_fleet(path)


def decided(host: str, *steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    seen = fields.pop("hardware", {"devices": 0})
    given = {"node": f"sha256:{host}", "release": "0.2.0-bb", "agent": "", "effects": [], "digest": f"d-{host}"}
    return {"event": "decided", "host": host, "steps": [QUIET, *steps], "hardware": seen, **given, **fields}


def failed(host: str) -> dict[str, Any]:
    return {"event": "failed", "host": host, "step": "connect", "reason": "Could not connect (timed out)"}


def unfit(host: str) -> dict[str, Any]:
    return decided(host, {"step": "preflight", "changes": False, "refusal": "Python 3.9 is too old", "digest": "d"})


def changing(host: str) -> dict[str, Any]:
    return decided(host, CONFIG, SERVICE, agent="reload", effects=[LIVE])


def plan_of(fleet: Fleet, *told: dict[str, Any], chain: ChainPart | None = None) -> PlanDocument:
    planned = [
        {"event": "planned", "host": one["host"], "changes": [s["step"] for s in one["steps"] if s["changes"]]}
        for one in told
        if one["event"] == "decided"
    ]
    lines = [{"event": "begin", "hosts": HOSTS, "dry": True}, *told, *planned, {"event": "end"}]
    events = [event for event in (parse_event(json.dumps(line)) for line in lines) if event is not None]
    assert len(events) == len(lines)
    return make_plan(fleet, summarize(events), events, chain or ChainPart())


def everything(fleet: Fleet) -> PlanDocument:
    """Two hosts alike, one away, a wrong driver and a missing card, a cut to set and a key to fill."""
    seen = {"devices": 1, "driver": "570.26", "gpus": [{"uuid": "GPU-1111bbbb", "model": "RTX A4000"}]}
    read = HostChain.model_validate(
        {
            "host": "gpu-1",
            "chain_id": 42161,
            "orchestrator": "0x1",
            "signed_by": "proposal",
            "duties": [
                {
                    "topic": "cuts",
                    "condition": "CutsInStep",
                    "state": "changing",
                    "reason": "Differs",
                    "message": "m",
                    "changes": [CUT],
                }
            ],
            "low_balances": [LOW],
        }
    )
    away = HostChain(host="gpu-2", reason="no endpoint answers")
    return plan_of(
        fleet,
        decided("gpu-3", hardware=seen),
        changing("gpu-2"),
        changing("gpu-1"),
        chain=ChainPart(hosts=(read, away)),
    )


def words(plan: PlanDocument, *, diff: bool = False, colour: bool = False) -> str:
    out = io.StringIO()
    print_plan(Console(file=out, force_terminal=colour, width=200, highlight=False, soft_wrap=True), plan, diff=diff)
    return out.getvalue()


# -- the document


def test_plan__everything_at_once__is_the_golden_document(fleet: Fleet) -> None:
    assert everything(fleet).model_dump(mode="json") == json.loads(GOLDEN.read_text())


def test_plan__kept_and_read__is_the_same(fleet: Fleet, tmp_path: Path) -> None:
    plan = everything(fleet)
    save_plan(plan, tmp_path / "plan.json")
    assert load_plan(tmp_path / "plan.json") == plan
    assert [path.name for path in tmp_path.glob("*.new")] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no json", "is no plan of version 1"),
        ('{"format": "livefleet-plan", "version": 2, "fleet": "f", "hosts": []}', "version: Input should be 1"),
        ('{"format": "something", "version": 1, "fleet": "f", "hosts": []}', "format: "),
    ],
)
def test_load_plan__other_file__is_bad_input(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(BadInput, match=said):
        load_plan(path)
    with pytest.raises(BadInput, match="livefleet plan --out"):
        load_plan(tmp_path / "absent")


# -- how it ends


@pytest.mark.parametrize(
    ("told", "chain", "expected"),
    [
        (("same", "same", "same"), ChainPart(), PlanExit.NOTHING_TO_DO),
        (("same", "changing", "same"), ChainPart(), PlanExit.CHANGES),
        (("changing", "away", "same"), ChainPart(), PlanExit.PARTLY_PLANNED),
        (("away", "away", "away"), ChainPart(), PlanExit.NOTHING_REACHED),
        (("away", "unfit", "away"), ChainPart(), PlanExit.PARTLY_PLANNED),
        (("same", "same", "same"), ChainPart(hosts=(HostChain(host="gpu-1", reason="r"),)), PlanExit.PARTLY_PLANNED),
        (("away", "away", "away"), ChainPart(hosts=(HostChain(host="gpu-1", reason="r"),)), PlanExit.NOTHING_REACHED),
        (("away", "away", "away"), ChainPart(hosts=(HostChain(host="gpu-1"),)), PlanExit.PARTLY_PLANNED),
        (
            ("same", "same", "same"),
            ChainPart(hosts=(HostChain.model_validate({"host": "gpu-1", "low_balances": [LOW]}),)),
            PlanExit.CHANGES,
        ),
    ],
)
def test_exit_code__each_case(fleet: Fleet, told: tuple[str, ...], chain: ChainPart, expected: PlanExit) -> None:
    seen = {"devices": 1, "driver": "580.95.05", "gpus": [{"uuid": "GPU-0000aaaa", "model": "A4000"}]}
    make = {"same": lambda host: decided(host, hardware=seen), "changing": changing, "away": failed, "unfit": unfit}
    plan = plan_of(fleet, *(make[what](host) for host, what in zip(HOSTS, told, strict=True)), chain=chain)
    assert plan.exit_code is expected


@pytest.mark.parametrize(("state", "differs"), [("in_step", False), ("waiting", True), ("blocked", True)])
def test_chain__declared_thing_that_cannot_be_sent_now__is_a_difference(state: str, differs: bool) -> None:
    duty = {"topic": "cuts", "condition": "CutsInStep", "state": state, "reason": "Locked", "message": "m"}
    assert HostChain.model_validate({"host": "a", "duties": [duty]}).differs is differs


def test_plan__step_refuses__that_host_could_not_be_planned(fleet: Fleet) -> None:
    refusal = {"step": "driver", "changes": False, "refusal": "secure boot is on", "digest": "d"}
    plan = plan_of(fleet, decided("gpu-1", refusal), decided("gpu-2"), decided("gpu-3"))
    assert (plan.hosts[0].outcome, plan.hosts[0].reason) == ("failed", "secure boot is on")


# -- for people


def test_words__hosts_with_the_same_changes__stand_once(fleet: Fleet) -> None:
    shown = words(everything(fleet))
    assert shown.splitlines() == [
        "hosts: 2 would change, 1 as declared",
        "  gpu-1, gpu-2 (2 hosts)",
        "    config     write /etc/livefleet/node.yaml; write /var/lib/livefleet/secrets/join",
        "    service    tell the agent; nothing is restarted",
        "      prices.video: 1200 -> 1300  live",
        "    the agent takes it over live; nothing is restarted",
        "hardware: 2 difference(s)",
        "  gpu-3: driver: 570.26 is loaded, declared is branch 580",
        "  gpu-3: GPU-0000aaaa: declared but not present; present: GPU-1111bbbb",
        "  gpu-3: GPU-1111bbbb: RTX A4000 is present and not declared; livefleet leaves it alone",
        "chain: 1 transaction(s) to send, 1 key(s) low on ETH, 1 host(s) could not be read",
        "  gpu-1: CutsInStep: to be signed: set the reward cut to 10%",
        "  gpu-1: hot (0xabc) holds 0.001 ETH, below 0.01 ETH: send it ETH",
        "  gpu-2: no endpoint answers",
    ]


def test_words__colours__only_on_a_terminal(fleet: Fleet) -> None:
    assert "\x1b[" in words(everything(fleet), colour=True)
    assert "\x1b[" not in words(everything(fleet))


def test_words__diff_asked_for__shows_it_and_a_secret_only_differs(fleet: Fleet) -> None:
    shown = words(everything(fleet), diff=True)
    assert "      +  video: '1300'" in shown.splitlines()
    assert "secrets/join: differs (content not shown)" in shown


def test_words__many_hosts_alike__are_counted(fleet: Fleet) -> None:
    plan = plan_of(fleet, changing("gpu-1"), decided("gpu-2"), decided("gpu-3"))
    many = plan.model_copy(
        update={"hosts": tuple(plan.hosts[0].model_copy(update={"host": f"h{n}"}) for n in range(200))}
    )
    assert "  h0, h1, h2, h3, h4, h5 and 194 more (200 hosts)" in words(many).splitlines()
