"""What a host is told of its paid job, and what becomes of a result that it could not be told."""

import pytest

from livefleet.control import SmokeJob, SmokeResult, SmokeStage, told_to_host
from livefleet.control.smoke_note import agent_smoke_command
from livefleet.kernel import OutsideWorld
from tests.builders.spec import a_fleet

pytestmark = pytest.mark.unit

PAYER = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
GOOD = SmokeJob("video", "2 segments")
PROGRAM = ["/opt/livefleet/current/venv/bin/livefleet", "agent", "smoke", "/etc/livefleet/node.yaml"]
SPEC = """\
name: demo
network: {{name: arbitrum-one-mainnet, rpc: [https://arb1.example.com/rpc]}}
keys: {{o: {{file: o}}, payer: {{file: payer, address: "{payer}"}}}}
smoke: {{key: payer, withhold: {withhold}}}
hosts:
  a: {{address: a.example.com, role: orchestrator, orchestrator: {{service_uri: "https://a:8935", key: o}}}}
"""


@pytest.fixture
def told(tmp_path):
    """`told(jobs)`: the result, and the command lines that its host was given."""

    def tell(*jobs, withhold="true", error=None):
        ran = []

        def run(host, command):
            ran.append((host.name, list(command)))
            if error is not None:
                raise error

        fleet = a_fleet(tmp_path, SPEC.format(payer=PAYER, withhold=withhold))
        return told_to_host(fleet, SmokeResult.of("a", jobs, 1.0), run=run), ran

    return tell


def test_passed__is_told(told):
    result, ran = told(GOOD)
    assert (result.passed, ran) == (True, [("a", [*PROGRAM, "--passed", "--text=video: 2 segments"])])


@pytest.mark.parametrize("stage", list(SmokeStage))
def test_failed__is_told_where_the_host_itself_fails(told, stage):
    result, ran = told(GOOD, SmokeJob("llm a/b", "bad", failed_at=stage))
    assert not result.passed
    is_told = stage in {SmokeStage.WORK, SmokeStage.CHECK}  # else it may be the payer's money, limits or network
    failed = ("a", [*PROGRAM, "--failed", f"--text=llm a/b failed at {stage.value}: bad"])
    assert ran == ([failed] if is_told else [])


def test_host_that_is_offered_as_it_is__is_told_nothing(told):
    assert told(GOOD, withhold="false")[1] == []


def test_passed_and_not_told__has_failed_and_says_what_to_do(told):
    result, _ = told(GOOD, error=OutsideWorld("a refused user x"))
    assert not result.passed
    assert result.text == (
        "video: 2 segments; the host could not be told, so it is offered to nobody else: a refused user x;"
        " `livefleet smoke a` again"
    )


def test_failed_and_not_told__says_both(told):
    result, _ = told(SmokeJob("video", "bad", failed_at=SmokeStage.CHECK), error=OutsideWorld("no way"))
    assert (
        "video failed at check: bad; the host could not be told, so it may still be offered to gateways" in result.text
    )


def test_text__is_one_bounded_line(tmp_path):
    node = a_fleet(tmp_path, SPEC.format(payer=PAYER, withhold="true")).node("a")
    long = SmokeResult("a", passed=True, text="x\n" + "y" * 1000, took_s=1)
    assert agent_smoke_command(node, long)[-1] == "--text=x " + "y" * 498
