"""`livefleet status` against a node that has worked and was paid."""

import asyncio
import json
import re
import subprocess
import sys

import httpx
import pytest

from tests.builders.gateways import a_stream, a_stream_client, send
from tests.builders.paid_nodes import a_paid_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

FLEET = """\
version: 1
name: test
hosts:
  node:
    address: "@local"
    role: orchestrator
    monitoring: {{admin_listen: "{admin}"}}
    orchestrator: {{service_uri: "{service_uri}"}}
  away:
    address: "@local"
    role: orchestrator
    root: /somewhere/else
    monitoring: {{admin_listen: "127.0.0.1:1"}}
    orchestrator: {{service_uri: "https://127.0.0.1:2", listen: "127.0.0.1:2"}}
"""


async def livefleet_status(fleet, *options):
    command = [sys.executable, "-m", "livefleet", "status", "--fleet", str(fleet), *options]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)


async def test_status__after_paid_work__tells_sessions_load_money_and_prices(tmp_path):
    async with a_paid_node(tmp_path / "n") as node:
        fleet = tmp_path / "fleet.yaml"
        fleet.write_text(FLEET.format(admin=node.agent.admin, service_uri=node.agent.service_uri))
        segments, source = a_stream(3)
        async with a_stream_client(node.agent.service_uri, node.gateway) as client:
            report = client.report(await send(client, segments, source))
            assert report.ok, report.failures
            async with httpx.AsyncClient(verify=False) as http:
                assert (await http.post(f"{node.agent.service_uri}/segment")).status_code == 403
            told = await livefleet_status(fleet)
            brief = await livefleet_status(fleet, "--brief")
            as_json = await livefleet_status(fleet, "--json")
            status = node.agent.status()

    assert told.returncode == 1, told.stderr  # `away` cannot be asked
    lines = {line.split()[0]: line for line in told.stdout.splitlines() if line.strip()}
    assert "1 of at most 10" in lines["sessions"]
    assert re.search(r"sessions use \d.* cores that they may, other programs .*; cpu \d", lines["load"])
    assert "3 segments done, 0 failed" in lines["work"]
    assert "1 request(s) refused" in lines["work"]
    tickets = status["payments"]["tickets"]
    credited = 2900 * tickets["received"]["count"]
    assert f"credited {credited} gwei in {tickets['received']['count']} ticket(s)" in lines["earned"]
    won = f"{tickets['won']['count']} won: " if tickets["won"]["count"] else "no winner yet"
    assert won in lines["earned"]
    assert "100000 wei a pixel" in lines["price"]
    assert "round" in lines["chain"]
    assert "unreachable" in told.stdout
    assert "sessions" not in brief.stdout

    told_json, away = json.loads(as_json.stdout)["hosts"]
    assert (told_json["host"], told_json["ready"], told_json["report"]["server"]["segments_ok"]) == ("node", True, 3)
    assert told_json["report"]["payments"]["tickets"]["received"]["count"] == tickets["received"]["count"]
    assert told_json["report"]["load"]["devices"][0]["sessions"] == 1
    assert (away["host"], away["report"]) == ("away", None)
