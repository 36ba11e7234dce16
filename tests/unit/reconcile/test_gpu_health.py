import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livefleet.hardware import (
    Counters,
    DevicesAside,
    EccCounts,
    Fault,
    GpuMemory,
    GpuSample,
    HardwareSnapshot,
    Latch,
    NvmlFault,
    Report,
    XidEvent,
    XidLog,
    XidSource,
)
from livefleet.kernel import ConditionBoard, Status
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources.gpu_health import GpuHealthResource
from livefleet.reconcile.resources.gpu_memory import (
    GPU_HEALTH_FILE,
    lasting,
    load_gpu_memories,
    save_gpu_memories,
)
from livefleet.spec import GpuAction, GpuHealthSettings
from livefleet.spec.gpu_clear import GPU_CLEAR_FILE, GpuClearings, load_gpu_clearings, save_gpu_clearings
from tests.builders.clock import HandClock

pytestmark = pytest.mark.unit

A = "GPU-aaaaaaaa-0000-0000-0000-000000000001"
B = "GPU-bbbbbbbb-0000-0000-0000-000000000002"
LOST = NvmlFault(Fault.LOST, "GPU is lost")


class Hardware:
    """A sampler, as far as policy looks at it."""

    def __init__(self):
        self.xids = XidLog()
        self.latest = None

    async def sample(self):
        return self.latest

    def show(self, *gpus, fault=None):
        self.latest = HardwareSnapshot(0.0, None if fault else "580.1", None, gpus, fault)

    def report(self, uuid, code, at):
        self.xids.add(XidEvent(uuid, "", code, at), XidSource.NVML)


class Node:
    """The resource in its loop, for as many runs of the agent as a test wants."""

    def __init__(self, state):
        self.state = state
        self.clock = HandClock(1000.0)
        self.hardware = Hardware()
        self.hardware.show(GpuSample(0, A, "L4"), GpuSample(1, B, "L4"))
        self.declared = "all"
        self.boot = "boot-1"
        self.start()

    def start(self):
        self.work = DevicesAside()
        self.board = ConditionBoard(self.clock)
        self.resource = GpuHealthResource(
            self.hardware, self.declared, GpuHealthSettings(), state=self.state, work=self.work, clock=self.clock,
            boot=self.boot, card_of=lambda gpu: "a 4090, and a T4 is declared" if "4090" in gpu.name else "",
        )  # fmt: skip
        self.loop = ReconcileLoop(self.resource, self.board)

    async def look(self, after_s=1.0):
        self.clock.time += after_s
        return await self.loop.once()

    def said(self, name="GpuHealthy"):
        return {c.subject: c for c in self.board.all() if c.name == name}


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


async def test_all_well__nothing_is_set_aside_and_nothing_is_written(node):
    await node.look()
    assert {(u, c.status, c.reason) for u, c in node.said().items()} == {
        (A, Status.TRUE, "Healthy"),
        (B, Status.TRUE, "Healthy"),
    }
    assert (dict(node.work.devices), list(node.state.iterdir())) == ({}, [])


async def test_one_sick__is_set_aside_alone__and_taken_back_a_while_after_it_is_well(node):
    await node.look()
    node.hardware.show(GpuSample(0, A, fault=LOST), GpuSample(1, B, "L4"))
    await node.look()
    assert {uuid: device.is_dead for uuid, device in node.work.devices.items()} == {A: True}
    assert node.said()[A].advice.endswith("reboot the host; then look at power, riser and heat")
    assert (node.said("GpuAnswering")[A].status, node.said()[A].since) == (Status.FALSE, 1002.0)
    assert not node.board.blocking()
    node.hardware.show(GpuSample(0, A, "L4"), GpuSample(1, B, "L4"))
    assert await node.look() <= 15
    assert {uuid: device.is_dead for uuid, device in node.work.devices.items()} == {A: False}
    assert not node.said("GpuAnswering")
    await node.look(15.0)
    assert not node.work.devices
    (first, second) = node.resource.standings()
    assert (first.times_aside, second.times_aside, first.verdict.times_back) == (1, 0, 1)


async def test_the_last_one_sick__the_node_is_not_ready(node):
    node.hardware.show(GpuSample(0, A, fault=LOST), GpuSample(1, B, fault=LOST))
    await node.look()
    assert [(c.name, c.subject) for c in node.board.blocking()] == [("GpuHealthy", A), ("GpuHealthy", B)]


@pytest.mark.parametrize(("declared", "judged"), [("all", {A, B}), ((B,), {B}), ("none", set())])
async def test_declared__others_are_nobodys_business(node, declared, judged):
    node.declared = declared
    node.start()
    await node.look()
    assert set(node.said()) == judged


async def test_no_library__no_gpu_was_ever_there__says_nothing(node):
    node.hardware.show(fault=NvmlFault(Fault.NO_LIBRARY, "not found"))
    await node.look()
    assert not node.said()


async def test_wrong_card__is_told_and_works(node):
    node.hardware.show(GpuSample(0, A, "RTX 4090"), GpuSample(1, B, "T4"))
    await node.look()
    assert (node.said("GpuCardFits")[A].reason, node.said()[A].status, B in node.said("GpuCardFits")) == (
        "WrongCard", Status.TRUE, False,
    )  # fmt: skip


async def test_settings__taken_over_live__count_from_the_next_look(node):
    node.hardware.report(A, 13, 1000.5)
    await node.look()
    assert A not in node.work
    node.resource.judge_by(GpuHealthSettings(xid={13: GpuAction.DRAIN}))
    await node.look()
    assert A in node.work


async def test_restart_of_the_agent__who_had_no_work_has_none_before_anything_is_looked_at(node):
    node.hardware.report(A, 48, 1000.5)
    node.hardware.report(B, 64, 1000.5)
    await node.look()
    node.hardware.xids = XidLog()
    node.start()
    node.hardware.latest = None
    node.resource.recall()
    assert set(node.work.devices) == {A, B}
    node.hardware.show(GpuSample(0, A, "L4"), GpuSample(1, B, "L4"))
    await node.look()
    assert {u: c.reason for u, c in node.said().items()} == {A: "EccDoubleBit", B: "RowRemapFailed"}
    node.start()
    await node.look(31 * 86_400.0)  # reports are forgotten, what a person has to say is not
    assert {u: c.reason for u, c in node.said().items()} == {A: "HeldBack", B: "Quarantined"}


async def test_reboot__ends_what_a_reset_ends__and_not_what_a_person_has_to(node):
    node.hardware.report(A, 48, 1000.5)
    node.hardware.report(B, 64, 1000.5)
    await node.look()
    node.boot, node.hardware.xids = "boot-2", XidLog()
    node.start()
    node.resource.recall()
    assert set(node.work.devices) == {B}
    await node.look()
    assert {u: c.reason for u, c in node.said().items()} == {A: "HeldBack", B: "RowRemapFailed"}
    await node.look(15.0)
    assert set(node.work.devices) == {B}


async def test_reset_while_the_agent_was_away__is_seen(node):
    def show(errors):
        ecc = EccCounts(volatile_uncorrected=errors)
        node.hardware.show(GpuSample(0, A, "L4", ecc=ecc), GpuSample(1, B, "L4"))

    show(1)
    node.hardware.report(A, 48, 1000.5)
    await node.look()
    node.start()
    node.resource.recall()
    await node.look()
    assert node.said()[A].reason == "EccDoubleBit"
    show(0)
    node.start()
    node.resource.recall()
    await node.look()
    assert node.said()[A].reason == "HeldBack"


async def test_taken_back_by_a_person__earlier_reports_count_no_more__also_after_a_restart(node):
    node.hardware.report(A, 64, 1000.5)
    await node.look()
    save_gpu_clearings(node.state, GpuClearings().adding(A, 1001.5))
    await node.look()
    assert node.said()[A].reason == "HeldBack"
    assert node.resource.standings()[0].cleared_at == 1001.5
    await node.look(15.0)
    assert A not in node.work
    node.start()
    node.resource.recall()
    await node.look()
    assert (A in node.work, node.said()[A].reason) == (False, "Healthy")
    node.hardware.report(A, 64, 1030.0)
    await node.look()
    assert node.said()[A].reason == "RowRemapFailed"


async def test_request_to_take_back__cannot_be_read__is_said_and_changes_nothing(node):
    node.hardware.report(A, 64, 1000.5)
    await node.look()
    (node.state / GPU_CLEAR_FILE).write_text('{"at": {"GPU": "soon"}}')
    await node.look()
    (said,) = node.said("GpuHealthRemembered").values()
    assert (said.status, f"{GPU_CLEAR_FILE}: at.GPU: " in said.message, A in node.work) == (Status.FALSE, True, True)


async def test_what_was_remembered__cannot_be_read__is_said_and_put_by(node):
    (node.state / GPU_HEALTH_FILE).write_text("{not json")
    node.resource.recall()
    await node.look()
    (said,) = node.said("GpuHealthRemembered").values()
    assert "in service again" in said.message
    assert (node.state / "gpu-health.unreadable").read_text() == "{not json"
    node.hardware.report(A, 64, 1002.0)
    await node.look()
    assert load_gpu_memories(node.state)[A].latch == Latch("xid-64", 1002.0)


async def test_disk_takes_nothing__the_gpu_is_set_aside_all_the_same__and_it_is_written_later(tmp_path):
    node = Node(tmp_path / "not there yet")
    node.hardware.report(A, 64, 1000.5)
    await node.look()
    assert A in node.work
    node.state.mkdir()
    await node.look()
    assert A in load_gpu_memories(node.state)
    await node.look()
    assert not node.said("GpuHealthRemembered")


async def test_card_taken_out_while_the_host_was_off__is_forgotten(node):
    await node.look()
    node.hardware.show(GpuSample(1, B, "L4"))
    node.boot = "boot-2"
    node.start()
    await node.look()
    assert set(node.said()) == {B}


def test_newer_file__what_it_says_more_is_passed_over(tmp_path):
    (tmp_path / GPU_HEALTH_FILE).write_text(json.dumps({"gpus": {A: {"boot": "b", "more": 1}}, "version": 9}))
    assert load_gpu_memories(tmp_path) == {A: GpuMemory(boot="b")}


def test_clearings__written_and_read__are_the_same(tmp_path):
    assert load_gpu_clearings(tmp_path) == GpuClearings()
    some = GpuClearings().adding(A, 1.5).adding(B, 2.0)
    save_gpu_clearings(tmp_path, some)
    assert load_gpu_clearings(tmp_path) == some


TIMES = st.floats(0, 4e9, allow_nan=False)
TRUE = st.just(True)  # noqa: FBT003 -- hypothesis takes it by position only
MEMORIES = st.builds(
    GpuMemory,
    boot=st.text(max_size=9),
    reports=st.lists(
        st.builds(Report, st.integers(1, 999), TIMES, st.text(max_size=9), st.text(max_size=200), is_recalled=TRUE)
    ).map(tuple),
    counters=st.builds(Counters, *[st.none() | st.integers(0, 99)] * 4, st.booleans(), st.none() | st.integers(0, 99)),
    settled_at=TIMES,
    cleared_at=TIMES,
    aside_since=st.none() | TIMES,
    comes_and_goes=st.booleans(),
    returns=st.lists(TIMES).map(tuple),
    latch=st.none() | st.builds(Latch, st.text(max_size=9), TIMES),
)


@settings(max_examples=30)
@given(memories=st.dictionaries(st.sampled_from([A, B]), MEMORIES))
def test_memories__written_and_read__what_lasts_is_the_same(tmp_path_factory, memories):
    state = tmp_path_factory.mktemp("state")
    save_gpu_memories(state, {uuid: replace(memory, over_since=5.0) for uuid, memory in memories.items()})
    found = load_gpu_memories(state)
    assert lasting(found) == lasting(memories)
    assert found == {uuid: memories[uuid] for uuid in found}
