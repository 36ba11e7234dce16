"""The door for monitors over real sockets: who may in, what a flood gets, what is behind it."""

import asyncio
import http.server
import ssl
import threading

import httpx
import pytest
from prometheus_client import CollectorRegistry, Gauge

from livefleet.health.bearer import TokenFile
from livefleet.health.listening import ServerTls
from livefleet.health.scrape_door import ScrapeDoor
from livefleet.kernel import BadInput, SystemClock
from tests.builders.certificates import Authority
from tests.builders.clock import HandClock

pytestmark = pytest.mark.component

PATHS = ["/metrics", "/node"]


def a_registry():
    registry = CollectorRegistry()
    Gauge("livefleet_something", "For the test.", registry=registry).set(7)
    return registry


@pytest.fixture
def token(tmp_path):
    path = tmp_path / "token"
    path.write_text("right\n")
    return path


@pytest.fixture
def exporter():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"node_load1 0.5\n")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
async def door(token, exporter):
    async with ScrapeDoor(
        "127.0.0.1:0", a_registry(), SystemClock(), token=TokenFile(token), exporter=exporter
    ) as server:
        yield f"http://{server.address}"


async def ask(url, token=None, **client):
    async with httpx.AsyncClient(**client) as asking:
        return await asking.get(url, headers={} if token is None else {"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("shown", [None, "wrong", "right2", "Bearer right"])
async def test_door__without_the_token__says_nothing(door, path, shown):
    answer = await ask(door + path, shown)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "livefleet_something" not in answer.text


async def test_door__with_the_token__has_metrics_and_the_node_exporter_s(door):
    assert "livefleet_something 7.0" in (await ask(f"{door}/metrics", "right")).text
    assert (await ask(f"{door}/node", "right")).text == "node_load1 0.5\n"


@pytest.mark.parametrize("path", ["/", "/status", "/readyz", "/sd", "/reload"])
async def test_door__anything_else_of_the_admin_address__is_not_there(door, path):
    assert (await ask(door + path, "right")).status_code == 404


async def test_healthz__needs_no_token(door):
    assert (await ask(f"{door}/healthz")).text == "ok\n"


async def test_token__changed_in_its_file__counts_at_once(door, token):
    token.write_text("newer")
    assert (await ask(f"{door}/metrics", "right")).status_code == 401
    assert (await ask(f"{door}/metrics", "newer")).status_code == 200


@pytest.mark.parametrize("content", ["", None])
async def test_token__empty_or_gone__lets_nobody_in(door, token, content):
    token.unlink() if content is None else token.write_text(content)
    assert (await ask(f"{door}/metrics")).status_code == 503
    assert (await ask(f"{door}/metrics", "right")).status_code == 503


async def test_flood__one_page_is_made_for_all_of_it(token):
    made = []

    class Counting(CollectorRegistry):
        def collect(self):
            made.append(1)
            return super().collect()

    clock = HandClock()
    async with (
        ScrapeDoor("127.0.0.1:0", Counting(), clock, token=TokenFile(token)) as door,
        httpx.AsyncClient(headers={"Authorization": "Bearer right"}) as client,
    ):
        answers = await asyncio.gather(*(client.get(f"http://{door.address}/metrics") for _ in range(50)))
        assert {answer.status_code for answer in answers} == {200}
        assert len(made) == 1
        clock.time += 2
        await client.get(f"http://{door.address}/metrics")
        assert len(made) == 2


async def test_node_exporter_away__is_said_and_the_agent_s_own_go_on(token):
    async with ScrapeDoor(
        "127.0.0.1:0", a_registry(), SystemClock(), token=TokenFile(token), exporter="127.0.0.1:1"
    ) as door:
        answer = await ask(f"http://{door.address}/node", "right")
        assert (answer.status_code, answer.text) == (
            502, "the node exporter does not answer on 127.0.0.1:1: ConnectError\n",
        )  # fmt: skip
        assert (await ask(f"http://{door.address}/metrics", "right")).status_code == 200


async def test_mutual_tls__who_shows_no_certificate__is_not_heard(tmp_path):
    authority = Authority(tmp_path)
    shown, key = authority.sign("livefleet-node", "localhost")
    client = authority.sign("monitor")
    tls = ServerTls(shown, key, authority.ca)
    async with ScrapeDoor("127.0.0.1:0", a_registry(), SystemClock(), token=None, tls=tls) as door:
        url = f"https://localhost:{door.address.rpartition(':')[2]}/metrics"
        trusting = ssl.create_default_context(cafile=str(authority.ca))
        with pytest.raises(httpx.TransportError):
            await ask(url, verify=trusting)
        trusting = ssl.create_default_context(cafile=str(authority.ca))
        trusting.load_cert_chain(*map(str, client))
        assert "livefleet_something" in (await ask(url, verify=trusting)).text


async def test_certificate_that_is_none__is_refused_with_its_door(tmp_path):
    (tmp_path / "c.pem").write_text("no certificate")
    door = ScrapeDoor(
        "127.0.0.1:0", a_registry(), SystemClock(), token=None, tls=ServerTls(tmp_path / "c.pem", tmp_path / "c.pem")
    )
    with pytest.raises(BadInput, match="the certificate of the door for monitors cannot be used"):
        async with door:
            pass
