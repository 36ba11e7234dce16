import pytest

from livefleet.cli.status_words import amount, lines, since
from livefleet.control import NodeReport
from livefleet.monitoring.conditions import condition_advice

pytestmark = pytest.mark.unit

ETH = 10**18
LOAD = {
    "cores": 8, "cores_for_sessions": 5.6, "cores_used_by_sessions": 3.25, "cores_used_by_others": 1, "limit": 0.8,
    "has_room": True, "devices": [{"device": "cpu", "sessions": 2, "places": 8, "places_used": 3.2}],
}  # fmt: skip
SERVER = {"sessions": 2, "max_sessions": 10, "segments_ok": 341, "segments_failed": 2, "requests_refused": 7}


def told(now=1000.0, **parts):
    report = {"version": "1", "name": "n", "role": "orchestrator", "digest": "", "ready": True} | parts
    return [f"{what}: {text}" for what, text in lines(NodeReport.model_validate(report), now)]


@pytest.mark.parametrize(
    ("wei", "text"),
    [
        (0, "0 wei"),
        (12, "12 wei"),
        (10**7, "0.01 gwei"),
        (4000 * 10**9, "4000 gwei"),
        (123 * 10**14, "0.0123 ETH"),
        (2 * ETH, "2 ETH"),
        (-3 * 10**9, "-3 gwei"),
    ],
)
def test_amount__the_unit_that_reads_best(wei, text):
    assert amount(wei) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (3, "3 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (300_000, "3 d")]
)
def test_since__the_unit_that_matters(seconds, text):
    assert since(seconds) == text


def test_lines__sessions_and_load():
    assert told(server=SERVER, load=LOAD)[:2] == [
        "sessions: 2 of at most 10",
        "load: sessions use 3.2 of 5.6 cores that they may, other programs 1.0 of 8; cpu 3.2 of 6.4 places",
    ]


@pytest.mark.parametrize(
    ("server", "load", "text"),
    [
        ({"sessions": 10}, {}, "10 of at most 10; no more are taken"),
        ({}, {"has_room": False}, "2 of at most 10; no more fit the load"),
        (
            {"local_sessions": 1, "workers": [{"peer": "w", "capacity": 4, "sessions": 1}]},
            {"has_room": False},
            "2 of at most 10, 1 here and 1 on 1 worker(s)",
        ),
    ],
)
def test_lines__sessions__why_no_more(server, load, text):
    assert told(server=SERVER | server, load=LOAD | load)[0] == f"sessions: {text}"


def test_lines__money__from_credit_to_loss():
    tickets = {
        "received": {"count": 341, "expected_value_wei": ETH // 10},
        "won": {"count": 5, "face_value_wei": 5 * ETH},
        "pending": {"count": 1, "face_value_wei": ETH},
        "redeemed": {"count": 3, "face_value_wei": 3 * ETH},
        "lost": {"count": 1, "face_value_wei": ETH},
    }
    payments = {
        "on_chain": True, "price_wei_per_pixel": "2401/2", "tickets": tickets, "paid_wei": 3 * ETH,
        "refused": {"InvalidPrice": 2, "TicketParamsExpired": 3}, "credit_wei": ETH // 100,
    }  # fmt: skip
    prices = {"gas_price_wei": 10**8, "usd_per_eth": "3000.00", "rate_updated_at": 400.0}
    assert told(payments=payments, prices=prices) == [
        (
            "earned: credited 0.1 ETH in 341 ticket(s); 0.01 ETH of it not used yet; "
            "5 won: 3 redeemed (3 ETH), 1 waiting (1 ETH), 1 LOST (1 ETH); paid out 3 ETH"
        ),
        "payments: refused 3 TicketParamsExpired, 2 InvalidPrice",
        "price: 2401/2 wei a pixel, 1 ETH = 3000.00 USD as of 10 min ago, gas reckoned at 0.1 gwei",
    ]


def test_lines__off_chain__no_money_is_told():
    assert told(payments={"on_chain": False}) == []


def test_lines__duties_and_what_is_wrong__in_the_node_s_own_words():
    conditions = [
        {"name": "RewardCalled", "status": "true", "message": "reward was called in round 7"},
        {"name": "TranscoderReady", "subject": "GPU-1", "status": "false", "message": "no NVENC"},
        {"name": "ServiceReachable", "status": "unknown", "message": "not asked yet"},
    ]
    assert told(conditions=conditions) == [
        "reward: reward was called in round 7",
        "fault: TranscoderReady GPU-1: no NVENC",
        f"do: {condition_advice('TranscoderReady')}",
        "unclear: ServiceReachable: not asked yet",
    ]


def test_lines__what_models_earned():
    account = {"pipeline": "llm", "model_id": "a/b", "jobs": 3, "charged_wei": "5000000000001/2", "device_s": 1250.4,
               "wei_per_device_s": 1999}  # fmt: skip
    elsewhere = {"pipeline": "llm", "model_id": "c/d", "device_s": 12.0}
    assert told(model_accounts={"since": 1.0, "models": [account, elsewhere]}) == [
        "model: a/b: earned 2500 gwei with 3 job(s) in 1,250 device seconds, 1999 wei a second",
        "model: c/d: 12 device seconds",
    ]


def test_lines__worker_and_models():
    worker = {"orchestrator": "o:8935", "joined": True, "jobs": 1, "done": 9, "failed": 0}
    models = [{"model_id": "owner/model", "warm": True, "capacity": 4, "capacity_in_use": 1}]
    assert told(role="worker", worker=worker, ai_worker=worker | {"joined": False}, models=models) == [
        "work: for o:8935: 1 job(s) under way, 9 delivered, 0 not delivered",
        "work: not joined to o:8935: 1 job(s) under way, 9 delivered, 0 not delivered",
        "model: owner/model: warm, 1 of 4 in use",
    ]


def test_lines__keykeeper__names_its_keys_and_where_they_are():
    keys = [{"name": "caller", "address": "0xCa11", "at": "https://signer:9000", "for": ["reward_caller"]}]
    assert told(role="keykeeper", keykeeper={"orchestrator": "0x0rc4", "keys": keys}) == [
        "key: caller 0xCa11, at https://signer:9000, for 0x0rc4"
    ]


def test_report__keys_of_the_json_document():
    report = NodeReport(version="1", name="n", role="orchestrator", digest="d", ready=True)
    assert set(report.model_dump()) == {
        "version", "name", "role", "digest", "ready", "release", "started_at", "conditions", "drain", "server", "load",
        "payments", "prices", "chain", "worker", "ai_worker", "redeemer", "keykeeper", "models",
        "model_accounts", "proposals", "hardware", "gpus",
    }  # fmt: skip
