"""A whole agent with the role monitor on this machine: what it tells Prometheus, and what it says of itself."""

import asyncio
import contextlib
import http.server
import socket
import threading

import httpx
import pytest

from livefleet.app import Agent
from livefleet.roles import monitor
from livefleet.spec import NodeSpec, node_digest
from tests.builders.metrics import Scrape, drift

pytestmark = [pytest.mark.component, pytest.mark.timeout(120)]

HOSTS = [
    {"name": "a", "role": "worker", "address": "10.0.0.1:7937", "token": "scrape"},
    {"name": "p", "role": "worker", "address": "10.0.0.2:7937", "token": "scrape", "pulls": True},
    {"name": "far", "role": "worker"},
]


@contextlib.contextmanager
def a_program(answers, port=0):
    """Stands where Prometheus, Alertmanager or Loki does; `answers`: what its readiness page says."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(answers["status"])
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextlib.asynccontextmanager
async def a_monitor(tmp_path, **settings):
    given = {
        "fleet": "demo", "name": "mon", "root": str(tmp_path), "role": "monitor", "gpus": "none",
        "secrets": {"push": "secrets/push"}, "monitoring": {"admin_listen": "127.0.0.1:0"},
        "monitor": {"hosts": HOSTS, "listen": "127.0.0.1:0", "token": "push", **settings},
    }  # fmt: skip
    node = NodeSpec.model_validate(given)
    (node.paths.state / "secrets").mkdir(parents=True)
    (node.paths.state / "secrets/push").write_text("push-token")
    stop = asyncio.Event()
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    agent = Agent(node, digest=node_digest(node), release="r")
    served = asyncio.create_task(agent.run(stop, on_listening=listening.set_result))
    try:
        async with httpx.AsyncClient(base_url=f"http://{await asyncio.wait_for(listening, 60)}") as client:
            yield agent, node, client
    finally:
        stop.set()
        await served


async def until_ready(client, status):
    async with asyncio.timeout(30):
        while (answer := await client.get("/readyz")).status_code != status:
            await asyncio.sleep(0.1)
    return answer.json()


async def until_door(client):
    async with asyncio.timeout(30):
        while not (status := (await client.get("/status")).json())["monitor"]["push_door"]:
            await asyncio.sleep(0.05)
    return status


@pytest.fixture
def programs(monkeypatch):
    """All of them serve, at free ports."""
    answers = {name: {"status": 200} for name in ("PROMETHEUS", "ALERTMANAGER", "LOKI")}
    with contextlib.ExitStack() as stack:
        for name, said in answers.items():
            monkeypatch.setattr(monitor, name, stack.enter_context(a_program(said)))
        yield answers


async def test_sd__hosts_in_pull_mode_by_the_way_they_are_asked(tmp_path, programs):
    async with a_monitor(tmp_path) as (_, _, client):
        answer = await client.get("/sd?tls=0&token=scrape")
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == [
            {
                "targets": ["10.0.0.2:7937"],
                "labels": {"job": "livefleet", "fleet": "demo", "node": "p", "role": "worker"},
            }
        ]
        assert (await client.get("/sd?tls=1&token=scrape")).json() == []
        assert (await client.get("/sd")).json() == []


async def test_newer_settings__hosts_are_known_at_once__without_a_restart(tmp_path, programs):
    async with a_monitor(tmp_path) as (agent, node, client):
        more = [*HOSTS, {**HOSTS[1], "name": "q", "address": "10.0.0.3:7937"}]
        newer = node.model_copy(update={"monitor": type(node.monitor).model_validate(
            {**node.monitor.model_dump(exclude_none=True), "hosts": more}
        )})  # fmt: skip
        assert agent.take_over(newer) == ()
        found = (await client.get("/sd?tls=0&token=scrape")).json()
        assert [group["labels"]["node"] for group in found] == ["p", "q"]


async def test_program_down__monitor_is_not_ready_and_says_which__and_is_again(tmp_path, programs):
    async with a_monitor(tmp_path, loki=True) as (_, _, client):
        await until_ready(client, 200)
        programs["LOKI"]["status"] = 503
        (blocking,) = (await until_ready(client, 503))["blocking"]
        assert blocking["name"] == "LokiServes"
        programs["LOKI"]["status"] = 200
        await until_ready(client, 200)


async def test_metrics__are_those_of_the_table(tmp_path, programs):
    async with a_monitor(tmp_path) as (_, _, client):
        status = await until_door(client)
        assert status["monitor"]["hosts"] == {"a": "10.0.0.1:7937", "p": "10.0.0.2:7937", "far": "pushes"}
        async with httpx.AsyncClient() as pushing:
            await pushing.post(f"http://{status['monitor']['push_door']}/api/v1/write", content=b"x")
        scrape = Scrape.of((await client.get("/metrics")).text)
    assert drift(scrape, "mon", "node") == []
    assert scrape.value("livefleet_monitor_hosts", way="push") == 1


async def test_door_s_address_is_taken__monitor_works_and_opens_it_once_it_is_free(tmp_path, programs):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "{}:{}".format(*taken.getsockname())
        async with a_monitor(tmp_path, listen=address) as (_, _, client):
            await until_ready(client, 200)
            await until_condition(client, "PushDoorOpen", "false", "Address already in use")
            taken.close()
            await until_condition(client, "PushDoorOpen", "true", address)


async def until_condition(client, name, status, words):
    async with asyncio.timeout(30):
        while not any(
            c["name"] == name and c["status"] == status and words in c["message"]
            for c in (await client.get("/status")).json()["conditions"]
        ):
            await asyncio.sleep(0.1)
