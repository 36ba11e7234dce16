"""`livefleet smoke` over a small fleet on a chain: an orchestrator with devices of its own, and a worker behind it."""

import asyncio
import json
import subprocess
import sys
from fractions import Fraction

import pytest
from ruamel.yaml import YAML

from tests.builders.agents import an_agent, free_port
from tests.builders.gateways import write_key
from tests.builders.paid_nodes import GATEWAY, a_paid_node, network_of
from tests.devchain.accounts import dev_secret

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SECRET = "test-only: how workers and orchestrator know each other"
PRICE = 100_000
SMOKE = {
    "key": "payer",
    "seconds": 1,
    "profiles": ["P144p30fps16x9"],
    "max_price": 2 * PRICE,
    "worker_sessions": 4,
}


def write_fleet(path, node, worker, smoke):
    """The two agents that run, as an operator's fleet file."""
    fleet = {
        "name": "test",
        "network": network_of(node.chain.info),
        "keys": {"orchestrator": {"file": "none"}, "payer": {"file": "payer.hex", "address": node.gateway.address}},
        "secrets": {"workers": {"file": "none"}},
        "smoke": smoke,
        "hosts": {
            "node": {
                "address": "@local",
                "root": str(node.agent.root),
                "role": "orchestrator",
                "duties": ["transcoding"],
                "monitoring": {"admin_listen": node.agent.admin},
                "orchestrator": {
                    "service_uri": node.agent.service_uri,
                    "listen": node.agent.service_uri.removeprefix("https://"),
                    "key": "orchestrator",
                    "worker_secret": "workers",
                },
            },
            "gpu": {
                "address": "@local",
                "root": str(worker.root),
                "role": "worker",
                "duties": ["transcoding"],
                "monitoring": {"admin_listen": worker.admin},
                "worker": {"orchestrator": node.agent.service_uri.removeprefix("https://"), "secret": "workers"},
            },
        },
    }
    with path.open("w") as file:
        YAML(typ="safe").dump(fleet, file)


async def livefleet_smoke(fleet, *options):
    command = [sys.executable, "-m", "livefleet", "smoke", "--fleet", str(fleet), *options]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=120, check=False)


async def test_smoke__pays_both_hosts_for_video__and_says_at_which_stage_they_fail(tmp_path):
    fleet, port = tmp_path / "fleet.yaml", free_port()
    write_key(tmp_path / "payer.hex", dev_secret(GATEWAY))
    for root in ("n/node", "gpu"):
        secret = tmp_path / root / "var/lib/livefleet/secrets/workers"
        secret.parent.mkdir(parents=True)
        secret.write_text(SECRET)
    async with a_paid_node(
        tmp_path / "n",
        duties={"transcoding": {"encoder": "software", "max_sessions": 1}, "redemption": {"check_every_s": 0.5}},
        orchestrator={"worker_secret": "workers", "listen": f"127.0.0.1:{port}"},
        secrets={"workers": "secrets/workers"},
    ) as node:
        with an_agent(
            tmp_path / "gpu",
            name="gpu",
            role="worker",
            gpus="none",
            duties={"transcoding": {"encoder": "software"}},
            worker={"orchestrator": f"127.0.0.1:{port}", "secret": "workers"},
            secrets={"workers": "secrets/workers"},
        ) as worker:
            write_fleet(fleet, node, worker, SMOKE)
            passed = await livefleet_smoke(fleet, "--json", "--parallel=1")
            assert passed.returncode == 0, passed.stderr
            jobs = {host["host"]: host["jobs"] for host in json.loads(passed.stdout)["hosts"]}
            (here,), (there,) = jobs["node"], jobs["gpu"]
            assert (here["job"], here["tickets"]) == ("video", 1)
            assert PRICE <= Fraction(here["price"]) <= 2 * PRICE  # what redeeming costs comes on top
            assert "1 segment(s) in 1 rendition(s)" in here["text"]
            assert there["tickets"] == 2  # the first session went to the orchestrator's own device
            assert "gpu did it: its count went from 0 to 1, through node" in there["text"]
            spent = sum(Fraction(job["spent_wei"]) for job in (here, there))
            received = node.agent.status()["payments"]["tickets"]["received"]
            assert (received["count"], received["expected_value_wei"]) == (3, int(spent))
            assert int(spent) == pytest.approx(3 * 2900 * 10**9)
            assert worker.status()["worker"]["done"] == 1

            write_fleet(fleet, node, worker, SMOKE | {"max_price": PRICE - 1})
            dear = await livefleet_smoke(fleet, "node", "--json")
            assert dear.returncode == 3, dear.stderr
            (job,) = json.loads(dear.stdout)["hosts"][0]["jobs"]
            assert (job["failed_at"], job["tickets"]) == ("price", 0)

            assert node.agent.status()["payments"]["tickets"]["received"]["count"] == 3

            write_fleet(fleet, node, worker, SMOKE)
            await asyncio.to_thread(worker.stop)
            textfile = tmp_path / "smoke.prom"
            half = await livefleet_smoke(fleet, "--every", "1s", "--times", "2", "--textfile", str(textfile))
            assert half.returncode == 1, half.stderr
            assert half.stderr.count("node: passed") == 2
            assert 'livefleet_smoke_passed{host="node",job="video"} 1.0' in textfile.read_text()
            assert 'livefleet_smoke_passed{host="gpu",job="video"} 0.0' in textfile.read_text()
            assert "gpu: FAILED" in half.stderr
            assert "video failed at look: no answer on" in half.stderr
            assert dev_secret(GATEWAY).hex() not in half.stderr + half.stdout + passed.stderr + passed.stdout
