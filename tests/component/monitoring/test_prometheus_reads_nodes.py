"""Debian's Prometheus, with the files that a monitor gets, and real agents: one asked, one that pushes."""

import asyncio
import contextlib
import json
import re
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from livefleet.app import Agent
from livefleet.health.bearer import TokenFile
from livefleet.health.push_door import PushDoor
from livefleet.kernel import SystemClock
from livefleet.monitoring import fleet_programs
from livefleet.spec import NodeSpec, Role, node_digest
from tests.builders.certificates import Authority
from tests.builders.monitored import FLEET, a_free_port, a_monitored_fleet, a_prometheus, checked, write_files

pytestmark = [pytest.mark.component, pytest.mark.timeout(180)]

TLS = {"certificate": "cert", "key": "key", "client_ca": "ca"}
SECRETS = {name: f"secrets/{name}" for name in TLS.values()}


@contextlib.asynccontextmanager
async def running(node: NodeSpec):
    stop = asyncio.Event()
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    agent = Agent(node, digest=node_digest(node), release="r", clock=SystemClock())
    served = asyncio.create_task(agent.run(stop, on_listening=listening.set_result))
    try:
        admin = await asyncio.wait_for(listening, 60)
        async with asyncio.timeout(60), httpx.AsyncClient() as client:
            while node.role is Role.ORCHESTRATOR and (await client.get(f"http://{admin}/readyz")).status_code != 200:
                await asyncio.sleep(0.1)
        yield admin
    finally:
        stop.set()
        await served


def a_node(folder, name, *, secrets=None, **monitoring):
    node = NodeSpec.model_validate(
        {
            "fleet": "demo", "name": name, "root": str(folder / name), "role": "orchestrator",
            "orchestrator": {"service_uri": "https://127.0.0.1:8935", "listen": f"127.0.0.1:{a_free_port()}"},
            "gpus": "none", "secrets": secrets or {"scrape": "secrets/scrape"},
            "monitoring": {"admin_listen": f"127.0.0.1:{a_free_port()}", **monitoring},
        }
    )  # fmt: skip
    (node.paths.state / "secrets").mkdir(parents=True)
    (node.paths.state / "secrets/scrape").write_text("right\n")
    return node


async def until(is_so, within_s=60):
    async with asyncio.timeout(within_s):
        while not (found := await asyncio.to_thread(is_so)):
            await asyncio.sleep(0.1)
        return found


def test_files__are_taken_by_promtool_and_amtool(tmp_path):
    fleet = a_monitored_fleet(tmp_path, FLEET.replace("scrape_every_s: 5", "loki: true, grafana: true"))
    for host in ("mon", "far"):
        for program in fleet_programs(fleet, host):
            folder = tmp_path / host / program.name
            write_files(folder, {**program.files, **dict.fromkeys(program.secrets, "x")})
            for check in program.checks:
                if check.startswith(("promtool", "amtool")):
                    assert "SUCCESS" in checked(check.split(), folder)


async def test_scraped__with_the_token_it_is_up__and_with_another_it_is_not(short_path):
    port = a_free_port()
    node = a_node(short_path, "a", scrape={"listen": f"127.0.0.1:{port}", "token": "scrape"})
    text = FLEET.replace("scrape: {token: scrape}", f'scrape: {{token: scrape, listen: "10.0.0.1:{port}"}}')
    fleet = a_monitored_fleet(short_path, text.replace("scrape_every_s: 5", "scrape_every_s: 1"))
    (program,) = [p for p in fleet_programs(fleet, "mon") if p.name == "prometheus"]
    folder = short_path / "prometheus"
    files = {path: text.replace("10.0.0.1", "127.0.0.1") for path, text in program.files.items()}
    write_files(folder, {**files, "rules.yml": "groups: []\n", "secrets/scrape": "right\n"})
    mine = '{job="livefleet", node="a"}'
    async with running(node):
        with a_prometheus(folder) as prometheus:
            (up,) = await until(lambda: prometheus.query(f"up{mine} == 1"))
            assert (up["fleet"], up["role"]) == ("demo", "orchestrator")
            assert await until(lambda: prometheus.query(f"livefleet_node_info{mine}"))
            (folder / "secrets/scrape").write_text("wrong\n")
            await until(lambda: prometheus.query(f"up{mine} == 0"))
            (target,) = [t for t in prometheus.targets() if t.get("node") == "a" and t["job"] == "livefleet"]
            assert "401" in target["error"]


async def test_mutual_tls_and_pull_mode__found_by_the_monitor_s_agent__is_up(short_path):
    certificates = short_path / "certificates"
    certificates.mkdir()
    page = (Path(__file__).parents[3] / "deploys/MONITORING.md").read_text()
    (recipe,) = re.findall(r"^  ```\n(.*?)^  ```", page, re.MULTILINE | re.DOTALL)
    subprocess.run(["sh", "-euc", recipe], cwd=certificates, check=True, capture_output=True)
    port, admin = a_free_port(), a_free_port()
    tls = "tls: {certificate: cert, key: key, client_ca: ca}"
    pulls = "pull: {url: 'https://b.example.com', trust: root.json}"
    text = FLEET.replace("scrape: {token: scrape}", f'scrape: {{listen: "10.0.0.1:{port}", {tls}}}')
    text = text.replace("  a:\n", f"  a:\n    {pulls}\n").replace("node_exporter: true", "node_exporter: false")
    text = text.replace("scrape_every_s: 5", "scrape_every_s: 1, ca: ca, client: {certificate: cert, key: key}")
    (short_path / "root.json").write_text("{}")
    fleet = a_monitored_fleet(short_path, text)
    hosts = json.loads(fleet.node("mon").monitor.model_dump_json().replace("10.0.0.1", "127.0.0.1"))["hosts"]
    watching = NodeSpec.model_validate(
        {
            "fleet": "demo", "name": "mon", "role": "monitor", "root": str(short_path / "mon"), "gpus": "none",
            "monitoring": {"admin_listen": f"127.0.0.1:{admin}"}, "monitor": {"hosts": hosts},
        }
    )  # fmt: skip
    node = a_node(short_path, "a", scrape={"listen": f"127.0.0.1:{port}", "tls": TLS}, secrets=SECRETS)
    shown = {"cert": "livefleet-node.pem", "key": "livefleet-node.key", "ca": "ca.pem"}
    for name, file in shown.items():
        (node.paths.state / f"secrets/{name}").write_bytes((certificates / file).read_bytes())
    (program,) = [p for p in fleet_programs(fleet, "mon") if p.name == "prometheus"]
    folder = short_path / "prometheus"
    files = {path: text.replace("127.0.0.1:7936", f"127.0.0.1:{admin}") for path, text in program.files.items()}
    held = {"cert": "monitor.pem", "key": "monitor.key", "ca": "ca.pem"}
    secrets = {path: (certificates / held[name]).read_text() for path, name in program.secrets.items()}
    write_files(folder, {**files, **secrets, "rules.yml": "groups: []\n"})
    assert json.loads(files["targets/agents-tls.json"]) == []
    async with running(watching), running(node):
        with a_prometheus(folder) as prometheus:
            assert await until(lambda: prometheus.query('up{job="livefleet", node="a"} == 1'))


async def test_pushed__monitor_away_and_back__samples_of_the_gap_are_there(short_path):
    node = a_node(short_path, "far")
    door_port, port = a_free_port(), a_free_port()
    text = FLEET.replace("https://mon.example.com:7938", f"http://127.0.0.1:{door_port}").replace(", ca: ca}", "}")
    fleet = a_monitored_fleet(short_path, text.replace("scrape_every_s: 5", "scrape_every_s: 1"))
    (pusher,) = [p for p in fleet_programs(fleet, "far") if p.name == "prometheus"]
    sender, monitor = short_path / "sender", short_path / "monitor"
    here = pusher.files["prometheus.yml"].replace("127.0.0.1:7936", node.monitoring.admin_listen)
    files = {"prometheus.yml": here.replace("max_backoff: 30s", "max_backoff: 500ms\n    batch_send_deadline: 300ms")}
    write_files(sender, {**files, "secrets/push": "push-token\n"})
    (keeper,) = [p for p in fleet_programs(fleet, "mon") if p.name == "prometheus"]
    write_files(monitor, {**keeper.files, "rules.yml": "groups: []\n", "secrets/scrape": "x"})
    (short_path / "token").write_text("push-token")
    ready = 'livefleet_node_ready{job="livefleet", node="far", role="orchestrator", fleet="demo"}'
    async with (
        running(node),
        PushDoor(
            f"127.0.0.1:{door_port}", TokenFile(short_path / "token"), {"metrics": f"http://127.0.0.1:{port}"}
        ) as door,
    ):
        # While it is stopped here nobody answers it: what it has left to send is of no use any more.
        hasty = "--storage.remote.flush-deadline=1s"
        flags = ("--enable-feature=agent", f"--storage.agent.path={sender}/data", hasty)
        takes = "--web.enable-remote-write-receiver"
        with a_prometheus(monitor, takes, port=port) as prometheus, a_prometheus(sender, *flags):
            await until(lambda: prometheus.query(ready))
            await asyncio.to_thread(prometheus.stop)
            gone = time.time()
            refused = ("livefleet_monitor_pushes_total", {"kind": "metrics", "status": "503"})
            await until(lambda: [1 for n, _, _, labels, _ in door.readings() if (n, labels) == refused])
            await asyncio.sleep(3)  # what there is to be missed
            back = time.time()
            await asyncio.to_thread(prometheus.start)
            wanted = int(back - gone) - 1
            await until(lambda: len(_in_between(prometheus, ready, gone, back)) >= wanted)


def _in_between(prometheus, series, gone, back):
    """Times of samples that were made while the monitor was away: of the raw ones, nothing filled in."""
    found = httpx.get(f"{prometheus.url}/api/v1/query", params={"query": f"{series}[60s]"}).json()
    values = found["data"]["result"][0]["values"] if found["data"]["result"] else []
    return [at for at, _ in values if gone < at < back]


async def test_door_s_certificate_is_not_there_yet__node_works_and_opens_it_then(short_path):
    tls = {"certificate": "cert", "key": "key"}
    node = a_node(short_path, "a", scrape={"listen": f"127.0.0.1:{a_free_port()}", "tls": tls, "token": "scrape"},
                  secrets=SECRETS | {"scrape": "secrets/scrape"})  # fmt: skip
    async with running(node) as admin, httpx.AsyncClient(base_url=f"http://{admin}") as client:

        async def door():
            found = (await client.get("/status")).json()["conditions"]
            return next((c["status"] for c in found if c["name"] == "ScrapeDoorOpen"), "")

        async with asyncio.timeout(30):
            while await door() != "false":
                await asyncio.sleep(0.1)
        certificate, key = Authority(short_path).sign("livefleet-node")
        for name, path in (("cert", certificate), ("key", key)):
            (node.paths.state / f"secrets/{name}").write_bytes(path.read_bytes())
        async with asyncio.timeout(30):
            while await door() != "true":
                await asyncio.sleep(0.1)
