"""A monitor's door for hosts that push, over real sockets: who may write, and what goes back to the sender."""

import http.server
import threading

import httpx
import pytest

from livefleet.health.bearer import TokenFile
from livefleet.health.push_door import MOST_BYTES, PushDoor

pytestmark = pytest.mark.component

WRITE, PUSH = "/api/v1/write", "/loki/api/v1/push"


class Behind:
    """Stands where Prometheus or Loki does."""

    def __init__(self):
        self.taken = []
        self.answer = (204, {}, b"")


@pytest.fixture
def behind():
    kept = Behind()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.taken.append((self.path, dict(self.headers), body))
            status, headers, text = kept.answer
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        kept.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield kept
        server.shutdown()


@pytest.fixture
async def door(behind, tmp_path):
    (tmp_path / "token").write_text("right")
    async with PushDoor("127.0.0.1:0", TokenFile(tmp_path / "token"), {"metrics": behind.url}) as server:
        yield server


async def push(door, path=WRITE, token="right", **request):
    headers = {"Authorization": f"Bearer {token}", **request.pop("headers", {})}
    async with httpx.AsyncClient() as client:
        return await client.post(f"http://{door.address}{path}", headers=headers, **request)


async def test_write__with_the_token__goes_on_as_it_is__without_the_token(door, behind):
    headers = {"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
    assert (await push(door, content=b"body", headers=headers)).status_code == 204
    ((path, said, body),) = behind.taken
    assert (path, body, said["content-encoding"]) == (WRITE, b"body", "snappy")
    assert "right" not in str(said)


async def test_write__wrong_token__goes_no_further(door, behind):
    assert (await push(door, token="wrong", content=b"body")).status_code == 401
    assert behind.taken == []
    assert ("livefleet_monitor_pushes_total", {"kind": "metrics", "status": "401"}, 1) in [
        (name, labels, value) for name, _, _, labels, value in door.readings()
    ]


@pytest.mark.parametrize("path", ["/api/v1/query", "/api/v1/admin/tsdb/delete_series", "/metrics", "/", PUSH])
async def test_door__anything_but_writing__is_not_there(door, behind, path):
    assert (await push(door, path)).status_code == 404
    async with httpx.AsyncClient(headers={"Authorization": "Bearer right"}) as client:
        assert (await client.get(f"http://{door.address}{WRITE}")).status_code == 405
    assert behind.taken == []


@pytest.mark.parametrize(
    "answer", [(400, {}, b"out of bounds"), (429, {"Retry-After": "7"}, b"slow down"), (500, {}, b"")]
)
async def test_answer__goes_back__so_that_the_sender_knows(door, behind, answer):
    behind.answer = answer
    got = await push(door, content=b"x")
    assert (got.status_code, got.content, got.headers.get("retry-after")) == (
        answer[0], answer[2], answer[1].get("Retry-After"),
    )  # fmt: skip


async def test_too_much__is_refused(door, behind):
    assert (await push(door, content=b"x" * (MOST_BYTES + 1))).status_code == 413
    assert behind.taken == []


async def test_nobody_behind__is_asked_to_come_again(tmp_path):
    (tmp_path / "token").write_text("right")
    async with PushDoor("127.0.0.1:0", TokenFile(tmp_path / "token"), {"logs": "http://127.0.0.1:1"}) as server:
        answer = await push(server, PUSH, content=b"x")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
