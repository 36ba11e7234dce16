"""The policy's tables, row by row: the real binding and the real sampler over the stand-in, a GPU a row."""

import asyncio

import pytest

from livefleet.hardware import (
    OTHER_XID,
    RECOVERY,
    SIGN_ROWS,
    XID_ROWS,
    DevicesAside,
    GpuState,
    HardwareSampler,
)
from livefleet.kernel import ConditionBoard, SystemClock
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import GpuHealthResource
from livefleet.spec import GpuHealthSettings, GpuSign

pytestmark = pytest.mark.component

MEANS_NOTHING = 45
"""A report by which a test learns that reports are heard."""

DETAILS = {
    GpuSign.ROW_REMAP_FAILED: {"remapped": "0 2 0 1"},
    GpuSign.ROW_REMAP_PENDING: {"remapped": "0 2 1 0"},
    GpuSign.RETIREMENT_PENDING: {"remapped": "", "retired": "1 1 1"},
    GpuSign.PAGES_RETIRED: {"remapped": "", "retired": "30 30 0"},
    GpuSign.ECC_UNCORRECTABLE: {"ecc": "0 1 0 1"},
    GpuSign.THERMAL_SLOWDOWN: {"reasons": 0x20},
    GpuSign.HARDWARE_THERMAL_SLOWDOWN: {"reasons": 0x40},
    GpuSign.HARDWARE_SLOWDOWN: {"reasons": 0x8},
    GpuSign.POWER_BRAKE: {"reasons": 0x80},
    GpuSign.POWER_CAP: {"reasons": 0x4},
    GpuSign.PCIE_DEGRADED: {"pcie_width": 4, "util": 90},
    GpuSign.LOST: {"error": 15},
    GpuSign.RESET_REQUIRED: {"error": 16},
    GpuSign.BLOCKED: {"error": 17},
    GpuSign.NVML_ERROR: {"error": 999},
    GpuSign.NO_PERMISSION: {"error": 4},
}
WHOLE = {9: GpuSign.DRIVER_MISSING, 18: GpuSign.DRIVER_MISMATCH, 999: GpuSign.NVML_ERROR, 4: GpuSign.NO_PERMISSION}


class FastClock(SystemClock):
    """Time that a test can put forward."""

    ahead_s = 0.0

    def now(self):
        return super().now() + self.ahead_s


def uuid_of(number):
    return f"GPU-{number:08x}-0000-0000-0000-000000000000"


@pytest.fixture
async def node(tmp_path):
    clock = FastClock()
    async with HardwareSampler(clock, every_s=0.05, deadline_s=20.0, details_every_s=0.1) as sampler:
        work = DevicesAside()
        resource = GpuHealthResource(
            sampler, "all", GpuHealthSettings(), state=tmp_path, work=work, clock=clock, boot="boot"
        )
        yield clock, sampler, work, resource, ReconcileLoop(resource, ConditionBoard(clock))


async def judged(node, holds):
    """Verdicts by UUID once they hold."""
    _, sampler, _, resource, loop = node
    async with asyncio.timeout(60):
        while True:
            await sampler.sample()
            await loop.once()
            verdicts = {one.uuid: one.verdict for one in resource.standings()}
            if holds(verdicts):
                return verdicts
            await asyncio.sleep(0.05)


def signs(verdict):
    return {sign.key: sign for sign in verdict.signs}


@pytest.mark.timeout(120)
async def test_reports__every_row__leads_to_its_state_and_is_acted_on(nvml, node):
    rows = {uuid_of(n): (n, row, (*row.codes, 999)[0]) for n, row in enumerate((*XID_ROWS, OTHER_XID))}
    for uuid, (number, _, _) in rows.items():
        nvml.gpu(number, uuid)
    healthy = await judged(node, lambda found: len(found) == len(rows))
    assert {one.state for one in healthy.values()} == {GpuState.HEALTHY}
    _, sampler, work, _, _ = node
    while unheard := [number for uuid, (number, _, _) in rows.items() if not sampler.xids.of(uuid).counts]:
        for number in unheard:
            nvml.event(number, MEANS_NOTHING)
        await judged(node, lambda _: True)
    for number, _, code in rows.values():
        nvml.event(number, code)
    await judged(node, lambda _: all(code in sampler.xids.of(uuid).counts for uuid, (_, _, code) in rows.items()))
    verdicts = await judged(node, lambda _: True)
    for uuid, (_, row, code) in rows.items():
        verdict = verdicts[uuid]
        assert (verdict.state, uuid in work) == (row.state, row.state.is_aside), code
        if row.state is not GpuState.HEALTHY:
            assert (list(signs(verdict)), row.advice in verdict.advice) == ([f"xid-{code}"], True)


async def test_signs__every_row__leads_to_its_state_and_is_acted_on(nvml, node):
    details = {uuid_of(n): (n, sign) for n, sign in enumerate(DETAILS)}
    advice = {uuid_of(n): (n, row) for n, row in enumerate(RECOVERY, len(details))}
    for uuid, (number, _) in (details | advice).items():
        nvml.gpu(number, uuid)
    await judged(node, lambda found: len(found) == len(details) + len(advice))
    for uuid, (number, sign) in details.items():
        nvml.gpu(number, uuid, **DETAILS[sign])
        for name in [name for name, value in DETAILS[sign].items() if value == ""]:
            nvml.forget(number, name)
    for uuid, (number, row) in advice.items():
        nvml.gpu(number, uuid, recovery=row.action)
    clock, _, work, _, _ = node
    rows = {row.sign: row for row in SIGN_ROWS}
    quick = {uuid: sign.value for uuid, (_, sign) in details.items() if not rows[sign].after_s}
    await judged(node, lambda found: all(key in signs(found[uuid]) for uuid, key in quick.items()))
    clock.ahead_s = 61.0
    slow = {uuid: sign.value for uuid, (_, sign) in details.items() if rows[sign].state is not GpuState.HEALTHY}
    verdicts = await judged(node, lambda found: all(key in signs(found[uuid]) for uuid, key in slow.items()))
    for uuid, (_, sign) in details.items():
        row = rows[sign]
        assert (verdicts[uuid].state, uuid in work) == (row.state, row.state.is_aside), sign
        assert row.state is GpuState.HEALTHY or verdicts[uuid].reason == row.reason
    for uuid, (_, row) in advice.items():
        assert (verdicts[uuid].state, uuid in work) == (row.state, row.state.is_aside), row.action
    clock.ahead_s = 301.0
    verdicts = await judged(node, lambda _: True)
    for uuid, (_, sign) in details.items():
        if (later := rows[sign].later) is not None:
            assert (verdicts[uuid].state, uuid in work) == (later.state, later.state.is_aside), sign


async def test_no_answer__of_nvml_as_a_whole__sets_all_aside_until_it_is_back(nvml, node):
    clock, _, work, _, _ = node
    for number in (0, 1):
        nvml.gpu(number, uuid_of(number))
    await judged(node, lambda found: len(found) == 2)
    rows = {row.sign: row for row in SIGN_ROWS}
    for code, sign in WHOLE.items():
        nvml.set(init=code, epoch=code)
        verdicts = await judged(node, lambda found, sign=sign: all(sign in signs(one) for one in found.values()))
        assert {(one.state, one.reason) for one in verdicts.values()} == {(rows[sign].state, rows[sign].reason)}
        assert len(work.devices) == 2
        nvml.set(init=0, epoch=code + 1000)
        await judged(node, lambda found: all(one.reason == "HeldBack" for one in found.values()))
        clock.ahead_s += 1000.0
        await judged(node, lambda found: all(one.state is GpuState.HEALTHY for one in found.values()))
        assert not work.devices


async def test_gpu_that_leaves_the_list__is_missing__and_back_when_it_is(nvml, node):
    clock, _, work, _, _ = node
    for number in (0, 1):
        nvml.gpu(number, uuid_of(number))
    await judged(node, lambda found: len(found) == 2)
    nvml.unplug(1)
    verdicts = await judged(node, lambda found: found[uuid_of(1)].reason == "Missing")
    assert (verdicts[uuid_of(0)].state, list(work.devices)) == (GpuState.HEALTHY, [uuid_of(1)])
    nvml.gpu(1, uuid_of(1))
    await judged(node, lambda found: found[uuid_of(1)].reason == "HeldBack")
    clock.ahead_s += 16.0
    await judged(node, lambda found: found[uuid_of(1)].state is GpuState.HEALTHY)
    assert not work.devices
