"""What whoever knocks at a whole agent meets: the operator's webhook, and the agent itself."""

import asyncio
import json
import subprocess
import sys
from fractions import Fraction

import pytest

from livefleet.kernel import OutsideWorld
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import Payer, discover
from livefleet.wire.gateway.discovery import get_orchestrator
from livefleet.wire.gateway.payer import price_of
from tests.builders.agents import an_agent, free_port
from tests.builders.webhook import a_webhook

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def an_orchestrator(root, *, duties=("transcoding",), **settings):
    return an_agent(
        root,
        role="orchestrator",
        network={"name": "offchain"},
        gpus="none",
        duties=list(duties),
        orchestrator=settings,
        secrets={"hook": "secrets/hook"},
    )


async def ask(agent):
    return await get_orchestrator(parse_endpoint(agent.service_uri), Payer(None), None, timeout_s=30)


async def answer_until(agent, holds):
    """Ask like a gateway that comes again; `holds` gets the answer, or why there is none, as text."""
    async with asyncio.timeout(60):
        while True:
            try:
                answer = await ask(agent)
            except OutsideWorld as error:
                answer = str(error)
            if holds(answer):
                return answer
            await asyncio.sleep(0.2)


async def test_auth_webhook__its_url_is_a_secret__it_decides_and_nobody_sees_the_url(tmp_path):
    with a_webhook() as hook:
        file = tmp_path / "node/var/lib/livefleet/secrets/hook"
        file.parent.mkdir(parents=True)
        file.write_text(hook.url + "\n")
        hook.status, hook.body = 403, b"unknown gateway"
        with an_orchestrator(tmp_path / "node", auth_webhook="hook") as agent:
            refusal = "authentication failed: unknown gateway"
            await answer_until(agent, lambda answer: isinstance(answer, str) and answer.endswith(refusal))
            assert hook.asked[0] == {"id": "0x" + "0" * 40}
            hook.status = 200
            hook.price(7, 3)
            served = await answer_until(agent, lambda answer: not isinstance(answer, str))  # a no lasts five seconds
            assert price_of(served) == Fraction(7, 3)
            _, status = agent.get("/status")
            _, metrics = agent.get("/metrics")
        assert "s3cret" not in agent.log() + status + metrics


async def test_further_nodes__two_agents__either_is_found_through_the_other(tmp_path):
    with (
        an_orchestrator(tmp_path / "second") as second,
        an_orchestrator(tmp_path / "first", nodes=[second.service_uri]) as first,
    ):
        answer = await discover(parse_endpoint(first.service_uri), Payer(None), None, extra_nodes=1, timeout_s=30)
        assert [info.transcoder for _, info in answer.found] == [first.service_uri, second.service_uri]
        command = (sys.executable, "-m", "livefleet", "gateway", "transcode", "--orchestrator", first.service_uri)
        options = ("--sample", "2", "--profile", "P144p30fps16x9", "--extra-nodes", "1", "--json")
        done = await asyncio.to_thread(subprocess.run, [*command, *options], capture_output=True, timeout=90)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["orchestrator"] == first.service_uri


async def test_discovery_only__one_address_before_two_nodes__streams_go_to_a_node(tmp_path):
    with (
        an_orchestrator(tmp_path / "one") as one,
        an_orchestrator(tmp_path / "two") as two,
        an_orchestrator(
            tmp_path / "door", duties=(), discovery_only=True, nodes=[one.service_uri, two.service_uri]
        ) as door,
    ):
        answer = await discover(parse_endpoint(door.service_uri), Payer(None), None, extra_nodes=2, timeout_s=30)
        assert [info.transcoder for _, info in answer.found] == [one.service_uri, two.service_uri]
        command = (sys.executable, "-m", "livefleet", "gateway", "transcode", "--orchestrator", door.service_uri)
        options = ("--sample", "2", "--profile", "P144p30fps16x9", "--extra-nodes", "2", "--json")
        done = await asyncio.to_thread(subprocess.run, [*command, *options], capture_output=True, timeout=90)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["orchestrator"] in {one.service_uri, two.service_uri}


async def test_self_check__agent_that_reaches_itself_and_one_that_does_not__both_serve(tmp_path):
    nowhere = f"https://127.0.0.1:{free_port()}"
    with (
        an_orchestrator(tmp_path / "well") as well,
        an_orchestrator(tmp_path / "lost", service_uri=nowhere) as lost,
    ):
        assert well.until_condition("ServiceReachable", "Answered")["status"] == "true"
        condition = lost.until_condition("ServiceReachable", "Unreachable")
        assert condition["status"] == "false"
        assert nowhere in condition["message"]
        assert lost.get("/readyz")[0] == 200
