"""Rows of the table that need models, GPUs or many gateways; tests/e2e/test_node_metrics.py holds the others."""

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from livefleet.ai import AdvertisedModel, ModelSnapshot, PoolSnapshot
from livefleet.hardware import DeviceBook, GpuLook, GpuMemory, GpuState, XidEvent, judge
from livefleet.health import GpuCollector, HostCollector, NodeCollector, NodeStatus
from livefleet.kernel import Condition, Refused, Status, Wei
from livefleet.media import Profile
from livefleet.payments import (
    BadPayment,
    DeviceUse,
    ModelAccount,
    ModelIncome,
    PaymentCounters,
    PaymentsSnapshot,
    Rate,
    TicketCount,
)
from livefleet.reconcile.resources import GpuStanding
from livefleet.roles import drain_readings, owner_labels, version_reading
from livefleet.roles.gpu_health_report import gpu_health_readings
from livefleet.roles.model_accounts import model_account_readings
from livefleet.roles.model_metrics import model_runners_part, own_model_readings
from livefleet.roles.own_metrics import own_ai_worker_readings, own_price_readings
from livefleet.roles.reference_metrics import (
    ai_readings,
    model_readings,
    payment_readings,
    received_readings,
    transcoded_readings,
    uploaded_readings,
)
from livefleet.spec import DrainReport, DrainScope, DrainState, GpuHealthSettings, NodeSpec
from livefleet.wire.work_stats import AiStats, SegmentStats
from livefleet.wire.worker import AiWorkerSnapshot
from tests.builders.hardware import a_gpu, some_hardware
from tests.builders.metrics import Scrape, drift, the_table

pytestmark = pytest.mark.unit

MODEL = ("text-to-image", "owner/model")
ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


def a_node(role="orchestrator", **spec):
    if role == "orchestrator":
        spec.setdefault("orchestrator", {"service_uri": "https://o:8935", "key": "own"})
    else:
        spec.setdefault("worker", {"orchestrator": "o:8935", "secret": "s"})
    return NodeSpec.model_validate({"fleet": "f", "name": "n", "role": role} | spec)


def a_status():
    condition = Condition("GpuDriver", Status.TRUE, "Loaded", "")
    return NodeStatus(
        version="1", fleet="f", name="n", role="orchestrator", network="offchain", digest="sha256:" + "d" * 64,
        release="checkout", started_at=1.0, ready=True, blocking=(), conditions=(condition,), parts={},
    )  # fmt: skip


def an_ai_scrape():
    stats = AiStats()
    stats.finish(*MODEL, latency_score=0.5, price=3)
    stats.fail(Refused("insufficient capacity"), *MODEL, "0x1")
    stats.downloads_s.observe(*MODEL, value=0.12)
    stats.uploads_s.observe("https://o", *MODEL, value=0.2)
    stats.save_failures.add("Unknown", *MODEL)
    model = AdvertisedModel(*MODEL, warm=True, capacity=4, capacity_in_use=1, runner_version="")
    worker = AiWorkerSnapshot("o:8935", joined=True, jobs=1, done=2, failed=3)
    return [
        *ai_readings(stats), *model_readings([model], 2), *own_ai_worker_readings(worker),
        *own_model_readings(a_pool()), *model_account_readings([an_account()]),
    ]  # fmt: skip


def an_account():
    income = ModelIncome(jobs=2, units=5, charged=Fraction(7, 2))
    return ModelAccount(*MODEL, income, {"GPU-1": DeviceUse(2.0, 300.0, 2.0), "workers": DeviceUse(1.0)}, (0.5, 0.9))


def a_pool():
    runner = ModelSnapshot(
        *MODEL, device="GPU-1", state="ready", reason="Answering", message="", declared_warm=True, is_warm=True, pid=7,
        capacity=2, in_use=1, waiting=0, load_s=4.5, loads=2, losses=1, evictions=0, loaded_bytes=10**9,
        peak_bytes_by_units={64: 5, 128: 9}, expected_bytes=10**9, is_expectation_measured=True, jobs=8, failed_jobs=2,
        refused_memory=3, out_of_memory=1, p50_s=0.5, p95_s=0.9,
    )  # fmt: skip
    return PoolSnapshot((runner,), (DeviceBook("GPU-1", 24, 2, None, 5, ()),))


def test_ai_and_gpu_rows__stand_in_the_table():
    collectors = (
        NodeCollector(a_status),
        GpuCollector(some_hardware(a_gpu("GPU-1"), xids=[74])),
        HostCollector(Path("/"), lambda: 5.0, is_kept=lambda: True),
    )
    sick, _ = judge(GpuLook(9.0, "boot", events=(XidEvent("GPU-1", "", 79, 8.0),)), GpuMemory(), GpuHealthSettings())
    gpus = gpu_health_readings([GpuStanding("GPU-1", sick, times_aside=2)])
    scrape = Scrape.of_readings([version_reading(a_node()), *an_ai_scrape(), *gpus], *collectors)
    assert drift(scrape, "node", "ai", "gpu", owner=False) == []
    states = {one["state"]: scrape.value("livefleet_gpu_state", **one) for one in scrape.labels("livefleet_gpu_state")}
    assert states == {state.value: float(state is GpuState.REBOOT) for state in GpuState}
    assert {one["sign"] for one in scrape.labels("livefleet_gpu_sign")} == {"missing", "xid-79"}
    assert scrape.value("livefleet_gpu_set_aside_total", gpu="GPU-1") == 2
    labels = {"pipeline": MODEL[0], "model_name": MODEL[1]}
    assert scrape.value("livepeer_ai_container_idle", **labels) == 3
    assert scrape.value("livepeer_ai_gpus_idle", **labels) == 2
    assert scrape.value("livepeer_ai_result_download_time_seconds_bucket", le="0.15", **labels) == 1
    assert scrape.bounds("livepeer_ai_result_upload_time_seconds") == ["0.1", "0.15", "0.2", "0.5", "10", "+Inf"]
    assert scrape.labels("livefleet_node_info")[0]["digest"] == "d" * 12
    runner = labels | {"device": "GPU-1"}
    assert scrape.value("livefleet_model_peak_bytes", **runner) == 9
    assert scrape.value("livefleet_model_job_seconds", quantile="0.95", **runner) == 0.9
    assert scrape.value("livefleet_model_jobs_refused_for_memory_total", **runner) == 3
    assert [sample["held"] for sample in scrape.labels("livefleet_device_memory_bytes")] == [
        "total",
        "headroom",
        "free",
    ]


def test_model_runners__never_measured__leave_out_what_is_not_known():
    (known,) = a_pool().models
    new = replace(known, load_s=None, loaded_bytes=None, peak_bytes_by_units={}, p50_s=None, p95_s=None)
    pool = replace(a_pool(), models=(new,))
    told = {name for name, *_ in own_model_readings(pool)}
    assert "livefleet_model_load_seconds" not in told
    assert "livefleet_model_peak_bytes" not in told
    assert "livefleet_model_warm" in told
    assert model_runners_part(pool)["runners"][0]["load_s"] is None


def test_drain_and_dollar_rows__stand_in_the_table():
    left = {"since": 1.0, "deadline_in_s": 60.0, "sessions": 2, "segments": 1}
    scope = DrainScope(device="cpu", state=DrainState.DRAINING, **left)
    rate = Rate(Fraction(10**18, 3000), 100.0, "0x1")
    scrape = Scrape.of_readings(
        [*drain_readings(DrainReport(scopes=(scope,))), *own_price_readings(Wei(7), rate, 160.0)]
    )
    assert drift(scrape, "drain", "usd") == []
    assert scrape.value("livefleet_drain_sessions_left", scope="cpu") == 2
    assert scrape.value("livefleet_price_rate_age_seconds") == 60
    assert scrape.value("livefleet_price_rate_usd_per_eth") == 3000


GROUPS = {
    "node",
    "orch",
    "chain",
    "work",
    "media",
    "ai",
    "gpu",
    "usd",
    "rdmr",
    "redeems",
    "drain",
    "books",
    "keys",
    "pull",
    "ship",
    "mon",
}


def test_table__every_name__follows_the_rules():
    for row in the_table().values():
        assert row.on <= GROUPS, row
        assert row.on, row
        if row.name.startswith("livefleet_"):
            assert (row.kind == "counter") == row.name.endswith("_total"), row
            assert re.fullmatch(r"livefleet(_[a-z0-9]+)+", row.name), row
            assert not row.name.endswith(("_count", "_sum", "_bucket")), row  # a histogram's own
            assert not row.per_stream, row


def a_snapshot():
    one = TicketCount(1, Fraction(10**9))
    return PaymentsSnapshot(
        on_chain=True, recipient=ADDRESS, price=Fraction(1), received=one, won=one, pending=TicketCount(), redeemed=one,
        lost=TicketCount(), paid=Wei(1), refused={}, balances=0, senders=(), credit=Fraction(0), store_fault="",
    )  # fmt: skip


def test_per_stream__money_by_sender_and_segments_by_stream__bounded():
    counters, stats = PaymentCounters(), SegmentStats()
    for number in range(300):
        counters.take(f"0x{number}", tickets=1, value=1e9, winners=1)
        counters.refuse(f"0x{number}", BadPayment("no", kind="Some"))
        stats.take(f"stream-{number}", 1000)
        stats.downloads_s.observe(f"stream-{number}", value=0.1)
        stats.pixels.add(f"stream-{number}", by=1e6)
        stats.uploaded("https://o", f"stream-{number}", 0.1)
    stats.transcoded([Profile("p", 1, 1, 1)], 1000, 0.5)
    scrape = Scrape.of_readings(
        [
            *payment_readings(a_snapshot(), counters, per_stream=True),
            *received_readings(stats, per_stream=True),
            *transcoded_readings(stats),
            *uploaded_readings(stats, per_stream=True),
        ]
    )
    assert drift(scrape, per_stream=True, owner=False) == []
    for name in (
        "livepeer_tickets_recv", "livepeer_ticket_value_recv", "livepeer_payment_recv_errors",
        "livepeer_segment_source_emerged_unprocessed_total", "livepeer_segment_transcoded_downloaded_total",
        "livepeer_mil_pixels_processed", "livepeer_segment_source_uploaded_total",
    ):  # fmt: skip
        assert len(scrape.labels(name)) == 101, name
        assert sum(s.value for s in scrape.samples if s.name == name) == 300, name
    assert len(scrape.labels("livepeer_download_time_seconds_count")) == 101


def test_per_stream__nothing_came_yet__zeros_without_a_sender():
    scrape = Scrape.of_readings(payment_readings(a_snapshot(), PaymentCounters(), per_stream=True))
    assert scrape.value("livepeer_winning_tickets_recv", sender="", manifest_id="") == 0


@pytest.mark.parametrize(
    ("node", "labels"),
    [
        (a_node(), ("host-1", "orch")),
        (a_node(keys={"own": {"file": "k"}}), ("host-1", "orch")),
        (a_node(keys={"own": {"file": "k", "address": ADDRESS}}), (f"{ADDRESS}-host-1", "orch")),
        (a_node("worker", duties=["transcoding", "ai"]), ("host-1", "trcr")),
        (a_node("worker", duties=["ai"]), ("host-1", "aiwk")),
    ],
)
def test_owner__declared_address_and_hostname(node, labels):
    assert tuple(owner_labels(node, "host-1").values()) == labels
