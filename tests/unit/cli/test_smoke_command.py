"""`livefleet smoke`: what is wrong before anybody is asked, and whom a worker is tried through."""

import asyncio
import threading

import pytest
from click.testing import CliRunner

from livefleet.cli import main
from livefleet.cli.smoke import smoke_of
from livefleet.cli.smoke_hosts import FleetSmoker
from livefleet.control.stop import Stop
from livefleet.kernel import BadInput, LivefleetError
from tests.builders.spec import a_fleet

pytestmark = pytest.mark.unit

KEY = "11" * 32  # test-only; of 0x19E7...
ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
CHAIN = "network: {name: arbitrum-one-mainnet, rpc: ['http://127.0.0.1:1/']}"
FLEET = """\
name: demo
{network}
keys: {{o: {{file: o}}, payer: {payer}}}
secrets: {{pool: {{env: POOL}}}}
{smoke}
hosts:
  orch:
    address: a.example.com
    role: orchestrator
    orchestrator: {{service_uri: 'https://orch.example.com:8935', key: o, worker_secret: pool}}
  gpu:
    address: b.example.com
    role: worker
    duties: [transcoding]
    worker: {{orchestrator: '{door}', secret: pool}}
"""


def the_fleet(folder, *, network="network: offchain", payer="{env: PAYER}", smoke="", door="a.example.com:8935"):
    return a_fleet(folder, FLEET.format(network=network, payer=payer, smoke=smoke, door=door))


def test_off_chain__needs_no_key(tmp_path):
    assert callable(smoke_of(the_fleet(tmp_path)))


def test_on_chain_without_a_key__is_said_before_any_job(tmp_path):
    fleet = the_fleet(tmp_path, network=CHAIN)
    result = CliRunner().invoke(main, ["smoke", "--fleet", str(fleet.path)])
    assert (result.exit_code, "smoke.key" in result.output) == (2, True)


def test_key_in_the_environment__is_read_at_once_and_checked(tmp_path, monkeypatch):
    fleet = the_fleet(tmp_path, network=CHAIN, smoke="smoke: {key: payer}")
    with pytest.raises(BadInput, match="PAYER is not set"):
        smoke_of(fleet)
    monkeypatch.setenv("PAYER", KEY)
    assert callable(smoke_of(fleet))
    wrong = "{env: PAYER, address: '0x70997970C51812dc3A010C7d01b50e0d17dc79C8'}"
    other = the_fleet(tmp_path, network=CHAIN, smoke="smoke: {key: payer}", payer=wrong)
    with pytest.raises(BadInput, match=f"is the key of {ADDRESS}, declared is") as error:
        smoke_of(other)
    assert KEY not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["nobody"], "no host `nobody`"),
        (["--only", "viedo"], "there is no work called 'viedo'; there are video, "),
    ],
)
def test_unknown_names__are_said(tmp_path, options, message):
    fleet = the_fleet(tmp_path)
    result = CliRunner().invoke(main, ["smoke", "--fleet", str(fleet.path), *options])
    assert (result.exit_code, message in result.output) == (2, True)


def test_wrong_rendition__is_said_before_any_job(tmp_path):
    with pytest.raises(BadInput, match="'480p' is no rendition"):
        smoke_of(the_fleet(tmp_path, smoke="smoke: {profiles: [480p]}"))


@pytest.mark.parametrize("door", ["orch.example.com:8935", "a.example.com:8935"])
def test_worker__is_tried_through_the_orchestrator_that_it_joins(tmp_path, door):
    fleet = the_fleet(tmp_path, door=door)
    smoker = FleetSmoker(fleet)
    assert smoker.orchestrator_of(fleet.node("gpu")) is fleet.node("orch")


def test_worker_of_somebody_elses_orchestrator__is_tried_there(tmp_path):
    fleet = the_fleet(tmp_path, door="pool.example.org:8935")
    assert FleetSmoker(fleet).orchestrator_of(fleet.node("gpu")) is None


def test_asked_to_stop__a_job_that_is_under_way_is_cut_off(tmp_path, monkeypatch):
    stop, ends = Stop(), []

    async def endless(_smoker, node):
        stop.ask()
        try:
            await asyncio.sleep(300)
        finally:
            ends.append(node.name)

    monkeypatch.setattr(FleetSmoker, "_jobs", endless)
    with pytest.raises(LivefleetError, match="cut off on request"):
        smoke_of(the_fleet(tmp_path), stop=stop)("orch")
    for _ in range(100):
        if ends:
            break
        threading.Event().wait(0.05)
    assert ends == ["orch"]  # it was ended, and not only left
