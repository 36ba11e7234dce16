"""What a real Alertmanager makes of our file, and how it goes out through the relay."""

import json
import subprocess
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from livefleet.health import ALERTS_DELIVERED, AlertRelay
from livefleet.kernel import ConditionBoard, SystemClock
from livefleet.monitoring.notify import alertmanager_text
from livefleet.monitoring.signature import check_signature
from livefleet.spec.notify import NotifySettings
from tests.builders.agents import free_port
from tests.builders.alerting import a_receiver, an_alertmanager, until

pytestmark = [pytest.mark.component]

HMAC = "a secret of sixteen"


def write_secrets(folder, receiver):
    texts = {
        "discord-hook": f"http://{receiver.address}/api/webhooks/1/very-secret\n",
        "bot": "123:very-secret\n",
        "pager": "very-secret-key\n",
        "hmac": f"{HMAC}\n",
        "beat": f"http://{receiver.address}/beat/very-secret\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return {name: folder / name for name in texts}


def all_ways(receiver, **fields):
    base = f"http://{receiver.address}"
    return NotifySettings.model_validate(
        {
            "receivers": [
                {"kind": "discord", "url": "discord-hook"},
                {"kind": "telegram", "token": "bot", "chat": -100, "api": f"{base}/telegram-api"},
                {"kind": "pagerduty", "key": "pager", "api": f"{base}/pagerduty-api"},
                {"kind": "webhook", "url": f"{base}/hook", "secret": "hmac"},
            ],
            "heartbeat": {"url": "beat", "every": "1s"},
            "wait": 0.1,
            "every": 1,
            "relay_listen": f"127.0.0.1:{free_port()}",
        }
        | fields
    )


@asynccontextmanager
async def a_relay(folder, receiver, **fields):
    settings = all_ways(receiver, **fields)
    board = ConditionBoard(SystemClock())
    async with AlertRelay(settings, write_secrets(folder, receiver), SystemClock(), board) as relay:
        yield settings, relay, board


def an_alert(name, severity, node="n1", *, ends=None, **annotations):
    alert = {
        "labels": {"alertname": name, "severity": severity, "fleet": "f", "node": node},
        "annotations": {"summary": f"{name} of {node}", "advice": "do <this> & that", "runbook_url": "RUNBOOK.md#x"}
        | annotations,
    }
    return alert if ends is None else alert | {"endsAt": ends.isoformat()}


async def post(address, *alerts):
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"http://{address}/api/v2/alerts", json=list(alerts))
        assert answer.status_code == 200, answer.text


def names_at(receiver, path, status="firing"):
    told = [alert for request in receiver.at(path) for alert in request.json["alerts"]]
    return {alert["labels"]["alertname"] for alert in told if alert["status"] == status}


async def test_alertmanager__all_ways__are_told_with_their_secrets_and_signed(tmp_path):
    async with (
        a_receiver() as receiver,
        a_relay(tmp_path, receiver) as (settings, _, board),
        an_alertmanager(tmp_path / "am", alertmanager_text(settings)) as alertmanager,
    ):
        watchdog = an_alert("Watchdog", "heartbeat", node="")
        await post(alertmanager, an_alert("RpcLost", "critical"), watchdog)
        await until("all four are told", lambda: len({told.path.split("/")[1] for told in receiver.told}) == 5)
        now = datetime.now(UTC)
        await post(alertmanager, an_alert("RpcLost", "critical", ends=now - timedelta(seconds=1)))
        await until("the end is told", lambda: names_at(receiver, "/hook", "resolved"))
        await until("the heart beats on", lambda: len(receiver.at("/beat")) > 1)
        delivered = {condition.subject: condition.status.value for condition in board.all()}

    (discord, *_), (telegram, *_) = receiver.at("/api/webhooks/1/very-secret"), receiver.at("/telegram-api")
    (pager, *_), (hook, *_) = receiver.at("/pagerduty-api"), receiver.at("/hook")
    (embed,) = discord.json["embeds"]
    assert embed["title"] == "CRITICAL RpcLost (1) f"
    assert "RpcLost of n1\ndo <this> & that\nRUNBOOK.md#x" in embed["description"]
    assert telegram.path == "/telegram-api/bot123:very-secret/sendMessage"
    assert telegram.json["chat_id"] == "-100"
    assert "do &lt;this&gt; &amp; that" in telegram.json["text"]
    assert pager.json["routing_key"] == "very-secret-key"
    assert pager.json["payload"]["severity"] == "critical"
    assert pager.json["event_action"] == "trigger"
    assert receiver.at("/pagerduty-api")[-1].json["event_action"] == "resolve"
    check_signature(HMAC.encode(), hook.headers, hook.body, time.time())
    assert hook.json["alerts"][0]["annotations"]["summary"] == "RpcLost of n1"
    assert names_at(receiver, "/beat") == {"Watchdog"}
    assert delivered == dict.fromkeys(["discord", "telegram", "pagerduty", "webhook", "heartbeat"], "true")


async def test_alertmanager__quiet_hours_and_a_node_that_is_down__hold_back_what_can_wait(tmp_path):
    now = datetime.now(UTC)
    quiet = {"opens": f"{now - timedelta(hours=2):%H:%M}", "closes": f"{now + timedelta(hours=2):%H:%M}"}
    async with (
        a_receiver() as receiver,
        a_relay(tmp_path, receiver, quiet_hours=quiet) as (settings, _, _),
        an_alertmanager(tmp_path / "am", alertmanager_text(settings)) as alertmanager,
    ):
        await post(
            alertmanager, an_alert("NodeDown", "critical"), an_alert("GpuFault", "critical"),
            an_alert("DiskLow", "warning", node="n2"), an_alert("Watchdog", "heartbeat", node=""),
        )  # fmt: skip
        await until("the node is told to be down", lambda: "NodeDown" in names_at(receiver, "/hook"))
        # A marker that comes later by the same way: whatever was to be told before it, has been.
        await post(alertmanager, an_alert("TicketsExpiring", "critical", node="n3"))
        await until("the marker", lambda: "TicketsExpiring" in names_at(receiver, "/hook"))
        await until("two beats later", lambda: len(receiver.at("/beat")) > 2)
    assert names_at(receiver, "/hook") == {"NodeDown", "TicketsExpiring"}


async def test_alertmanager__the_receiver_is_away__is_told_when_it_is_back(tmp_path):
    async with (
        a_receiver() as receiver,
        a_relay(tmp_path, receiver) as (settings, _, board),
        an_alertmanager(tmp_path / "am", alertmanager_text(settings)) as alertmanager,
    ):
        receiver.answers["/hook"] = 503
        await post(alertmanager, an_alert("RpcLost", "critical"))
        await until("it was tried twice", lambda: len(receiver.at("/hook")) > 1)
        (said,) = (condition for condition in board.all() if condition.subject == "webhook")
        del receiver.answers["/hook"]
        tries = len(receiver.at("/hook"))
        await until("it is told", lambda: len(receiver.at("/hook")) > tries)
    assert (said.status.value, said.reason) == ("false", "NotReached")
    assert receiver.at("/hook")[-1].json["alerts"][0]["labels"]["alertname"] == "RpcLost"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"receivers": []},
        {"receivers": [], "heartbeat": None},
        {"quiet_hours": {"opens": "22:00", "closes": "07:00", "timezone": "Europe/Berlin", "days": ["sun"]}},
        {"quiet_hours": {"opens": "00:00", "closes": "00:00"}},
    ],
)
async def test_alertmanager_file__every_kind_of_settings__is_taken_by_amtool(tmp_path, fields):
    async with a_receiver() as receiver:
        (tmp_path / "am.yml").write_text(alertmanager_text(all_ways(receiver, **fields)))
    done = subprocess.run(
        ["amtool", "check-config", "am.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_relay__the_other_side_says_no__decides_whether_it_is_tried_again(tmp_path, caplog):
    async with (
        a_receiver() as receiver,
        a_relay(tmp_path, receiver) as (_, relay, board),
        httpx.AsyncClient() as client,
    ):
        told = {}
        for status in (200, 204, 302, 404, 429, 500):
            receiver.answers["/api"] = status
            answer = await client.post(f"http://{relay.address}/discord/discord", json={})
            (condition,) = board.all()
            told[status] = (answer.status_code, condition.reason)
            assert "very-secret" not in answer.text + condition.message
    assert told == {
        200: (200, "Delivered"), 204: (204, "Delivered"), 302: (502, "Refused"), 404: (404, "Refused"),
        429: (503, "NotReached"), 500: (503, "NotReached"),
    }  # fmt: skip
    assert "very-secret" not in caplog.text
    assert board.all() == ()


async def test_relay__nobody_listens__is_tried_again_and_said_without_the_address(tmp_path, caplog):
    async with (
        a_receiver() as receiver,
        a_relay(tmp_path, receiver) as (_, relay, board),
        httpx.AsyncClient() as client,
    ):
        (tmp_path / "discord-hook").write_text(f"http://127.0.0.1:{free_port()}/very-secret")
        answer = await client.post(f"http://{relay.address}/discord/discord", json={})
        (condition,) = board.all()
    assert (answer.status_code, answer.text) == (503, "not reached: ConnectError\n")
    assert (condition.name, condition.reason, condition.subject) == (ALERTS_DELIVERED, "NotReached", "discord")
    assert "very-secret" not in caplog.text + condition.message


@pytest.mark.parametrize(
    ("path", "secret", "body", "status", "said"),
    [
        ("/discord/nobody", None, b"{}", 404, "no such receiver"),
        ("/webhook/discord", None, b"{}", 404, "no such receiver"),
        ("/telegram/telegram", "bot", b"{}", 200, "ok"),
        ("/discord/discord", "missing", b"{}", 500, "the secret `discord-hook` cannot be read: FileNotFoundError"),
        ("/discord/discord", "", b"{}", 500, "the secret `discord-hook` is empty"),
        ("/discord/discord", "http://[::1", b"{}", 500, "holds no URL"),
        ("/discord/discord", "not a url", b"{}", 500, "holds no URL"),
        ("/pagerduty/pagerduty", None, b"[]", 400, "not an event"),
        ("/pagerduty/pagerduty", None, b"\xff", 400, "not JSON"),
        ("/webhook/webhook", None, b"x" * ((1 << 20) + 1), 413, "more than 1048576 bytes"),
    ],
)
async def test_relay__bad_input__is_bounded_and_said(tmp_path, path, secret, body, status, said):
    async with a_receiver() as receiver, a_relay(tmp_path, receiver) as (_, relay, _), httpx.AsyncClient() as client:
        if secret == "missing":
            (tmp_path / "discord-hook").unlink()
        elif secret is not None and path == "/discord/discord":
            (tmp_path / "discord-hook").write_text(secret)
        answer = await client.post(f"http://{relay.address}{path}", content=body)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


async def test_relay__a_secret_is_replaced__counts_from_the_next_message_on(tmp_path):
    async with a_receiver() as receiver, a_relay(tmp_path, receiver) as (_, relay, _), httpx.AsyncClient() as client:
        await client.post(f"http://{relay.address}/webhook/webhook", content=b"{}")
        (tmp_path / "hmac").write_text("another")
        await client.post(f"http://{relay.address}/webhook/webhook", content=b"{}")
    first, second = receiver.told
    check_signature(HMAC.encode(), first.headers, first.body, time.time())
    check_signature(b"another", second.headers, second.body, time.time())
    assert json.loads(second.body) == {}
