"""An orchestrator that gateways hear of only once a paid job has passed on what it runs."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from livefleet.kernel import OutsideWorld, Wei
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import Payer, SegmentReport
from livefleet.wire.gateway.discovery import get_orchestrator
from tests.builders.gateways import PROFILES, a_stream, a_stream_client, send, write_key
from tests.builders.paid_nodes import GATEWAY, PaidNode, a_paid_node, network_of
from tests.devchain.accounts import dev_secret, dev_signer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SOMEBODY = dev_signer(5)
PROGRAM = Path(sys.executable).with_name("livefleet")
SMOKE = {"key": "payer", "withhold": True, "seconds": 1, "profiles": ["P144p30fps16x9"]}


@dataclass
class Desk:
    """The machine that has the fleet file, and the node."""

    folder: Path
    node: PaidNode

    @property
    def fleet(self) -> Path:
        return self.folder / "fleet.yaml"

    def declare(self, **smoke):
        """The fleet file for the agent that runs."""
        agent = self.node.agent
        door = {"service_uri": agent.service_uri, "listen": agent.service_uri.removeprefix("https://"), "key": "o"}
        fleet = {
            "name": "test",
            "network": network_of(self.node.chain.info),
            "keys": {"o": {"file": "none"}, "payer": {"file": "payer.hex", "address": self.node.gateway.address}},
            "smoke": SMOKE | smoke,
            "hosts": {
                "node": {
                    "address": "@local",
                    "root": str(agent.root),
                    "role": "orchestrator",
                    "duties": ["transcoding"],
                    "monitoring": {"admin_listen": agent.admin},
                    "orchestrator": door,
                }
            },
        }
        with self.fleet.open("w") as file:
            YAML(typ="safe").dump(fleet, file)

    def install(self):
        """What apply would have put on the host: the program, and the node's settings where it looks for them."""
        root = self.node.agent.root
        program, settings = root / "opt/livefleet/current/venv/bin/livefleet", root / "etc/livefleet/node.yaml"
        for link, target in ((program, PROGRAM), (settings, self.node.agent.node_yaml)):
            link.parent.mkdir(parents=True)
            link.symlink_to(target)

    async def smoke(self):
        """`livefleet smoke`: exit code, and the host's result."""
        done = await asyncio.to_thread(self._run, "smoke", "--json", "--fleet", str(self.fleet))
        return done.returncode, json.loads(done.stdout)["hosts"][0]

    def _run(self, *words):
        return subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=120, check=False)

    async def until(self, reason):
        return await asyncio.to_thread(self.node.agent.until_condition, "SmokePassed", reason)

    async def ask(self, signer):
        return await get_orchestrator(parse_endpoint(self.node.agent.service_uri), Payer(signer), None)

    async def is_withheld(self):
        """Somebody else does not hear of it; who pays for the job does."""
        with pytest.raises(OutsideWorld, match="OrchestratorCapped"):
            await self.ask(SOMEBODY)
        return bool((await self.ask(self.node.gateway)).transcoder)


async def test_node__is_offered_once_a_paid_job_passed__and_again_after_each_other_release(tmp_path):
    write_key(tmp_path / "payer.hex", dev_secret(GATEWAY))
    payer = dev_signer(GATEWAY).address
    segments, source = a_stream(2)
    async with a_paid_node(
        tmp_path, start=False, orchestrator={"smoke_account": payer.lower()}
    ) as node:  # as an operator may write it
        await node.chain.fund_gateway(SOMEBODY.address, deposit=Wei(10**18), reserve=Wei(10**18))
        desk = Desk(tmp_path, node)
        desk.install()
        desk.declare()
        node.agent.env["LIVEFLEET_RELEASE"] = "r1"
        await asyncio.to_thread(node.agent.start)  # ready all the same: the job is done on nodes that are
        await desk.until("NotTried")
        assert await desk.is_withheld()

        code, told = await desk.smoke()
        assert (code, told["passed"]) == (0, True), told
        said = await desk.until("Passed")
        assert "1 segment(s) in 1 rendition(s)" in said["message"]
        assert node.agent.status()["smoke"]["passed"]

        async with a_stream_client(node.agent.service_uri, SOMEBODY, profiles=PROFILES[:1]) as client:
            assert isinstance((await send(client, segments[:1], source))[0], SegmentReport)
            desk.declare(timeout_s=0.01)  # no work is done so fast
            code, told = await desk.smoke()
            assert (code, told["jobs"][0]["failed_at"]) == (3, "work")
            said = await desk.until("Failed")
            assert "no result within 0.01 s" in said["message"]
            assert await desk.is_withheld()
            assert isinstance((await send(client, segments[1:], source))[0], SegmentReport)  # what runs goes on

        desk.declare()
        assert (await desk.smoke())[0] == 0
        await desk.until("Passed")
        await desk.ask(SOMEBODY)

        await asyncio.to_thread(node.agent.stop)
        node.agent.env["LIVEFLEET_RELEASE"] = "r2"
        await asyncio.to_thread(node.agent.start)
        said = await desk.until("NotTried")
        assert "the last paid job was done by release r1, and release r2 runs" in said["message"]
        assert await desk.is_withheld()
        assert (await desk.smoke())[0] == 0
        await desk.until("Passed")
        await desk.ask(SOMEBODY)

        await asyncio.to_thread(node.agent.stop)  # what a rollback does
        node.agent.env["LIVEFLEET_RELEASE"] = "r1"
        await asyncio.to_thread(node.agent.start)
        await desk.until("Passed")
        await desk.ask(SOMEBODY)


async def test_host_that_cannot_be_told__has_not_passed(tmp_path):
    write_key(tmp_path / "payer.hex", dev_secret(GATEWAY))
    async with a_paid_node(tmp_path, orchestrator={"smoke_account": dev_signer(GATEWAY).address}) as node:
        desk = Desk(tmp_path, node)
        desk.declare()  # nothing is installed that could note it
        code, told = await desk.smoke()
        assert (code, told["passed"]) == (3, False)
        assert "the host could not be told, so it is offered to nobody else" in told["text"]
        assert await desk.is_withheld()


def agent_smoke(agent, *options):
    command = [PROGRAM, "agent", "smoke", str(agent.node_yaml), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=os.environ)


async def test_agent_smoke__by_hand__says_what_became_of_it_or_what_to_do(tmp_path):
    write_key(tmp_path / "payer.hex", dev_secret(GATEWAY))
    payer = dev_signer(GATEWAY).address
    async with a_paid_node(tmp_path, orchestrator={"smoke_account": payer}) as node:
        desk = Desk(tmp_path, node)
        nothing = await asyncio.to_thread(agent_smoke, node.agent)
        assert (nothing.returncode, nothing.stderr.strip()) == (2, "say how it went: --passed or --failed")
        done = await asyncio.to_thread(agent_smoke, node.agent, "--passed", "--text", "seen")
        assert done.stdout.strip() == "noted for release checkout; the node is offered to every gateway"
        assert (await desk.until("Passed"))["message"].endswith(": seen")
        done = await asyncio.to_thread(agent_smoke, node.agent, "--failed", "--json")
        assert json.loads(done.stdout)["proof"]["release"] == "checkout"
        await desk.until("Failed")
        await asyncio.to_thread(node.agent.stop)
        gone = await asyncio.to_thread(agent_smoke, node.agent, "--passed")
        assert (gone.returncode, gone.stderr.strip()) == (3, f"no agent answers on {node.agent.admin}")


async def test_agent_smoke__node_that_waits_for_no_job__is_said(tmp_path):
    async with a_paid_node(tmp_path) as node:
        done = await asyncio.to_thread(agent_smoke, node.agent, "--passed")
        text = "node waits for no paid job: it has no `orchestrator.smoke_account`"
        assert (done.returncode, done.stderr.strip()) == (2, text)
        assert not [c for c in node.agent.status()["conditions"] if c["name"] == "SmokePassed"]
