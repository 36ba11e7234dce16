"""Facts in, findings out: each thing that can be wrong is found, with what to do; a host that is well has none."""

from dataclasses import replace
from pathlib import Path

import pytest

from livefleet.doctor.chain import EndpointView, judge_chain
from livefleet.doctor.driver import DriverFacts, judge_driver, read_driver
from livefleet.doctor.machine import DiskSpace, MachineFacts, judge_machine, read_machine
from livefleet.doctor.outside import OutsideView, judge_outside
from livefleet.doctor.service import NodeView, judge_node
from livefleet.hardware import SIGN_OF_FAULT, HardwareSnapshot, sign_row
from livefleet.hardware.models import Fault, GpuSample, NvmlFault
from livefleet.reconcile.resources.gpus import gpu_conditions
from livefleet.spec import DriverSettings, Finding, Grade, Trouble

pytestmark = pytest.mark.unit

GIB = 1 << 30
NOW = 1_800_000_000.0
WELL = MachineFacts(
    distribution="Debian GNU/Linux 12 (bookworm)",
    kernel="6.1.0",
    disks=(DiskSpace("state and tickets", Path("/var/lib/livefleet"), 80 * GIB, 100 * GIB),),
    memory_available=8 * GIB,
    open_files=65_536,
    is_clock_synchronised=True,
    reboot_wanted_by=None,
)


def wrong(findings: list[Finding]) -> list[tuple[str, str, str]]:
    bad = [finding for finding in findings if finding.grade in {Grade.WARN, Grade.FAIL}]
    assert all(finding.fix for finding in bad), "each says what to do"
    assert {finding.trouble for finding in bad} <= set(Trouble), "each has a name for programs"
    assert not any(finding.trouble for finding in findings if finding not in bad)
    return [(finding.grade.value, finding.area, finding.what) for finding in bad]


def disk(free: int) -> tuple[DiskSpace, ...]:
    return (replace(WELL.disks[0], free=free),)


def test_machine__that_is_well__has_nothing_wrong():
    assert wrong(judge_machine(WELL)) == []


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        (replace(WELL, disks=disk(GIB // 2)), ("fail", "disk", "/var/lib/livefleet")),
        (replace(WELL, disks=disk(5 * GIB)), ("warn", "disk", "/var/lib/livefleet")),
        (replace(WELL, memory_available=GIB // 2), ("warn", "host", "memory")),
        (replace(WELL, open_files=1024), ("warn", "host", "open files")),
        (replace(WELL, is_clock_synchronised=False), ("warn", "clock", "synchronised")),
        (replace(WELL, reboot_wanted_by=("linux-image-6.1",)), ("warn", "host", "reboot")),
    ],
)
def test_machine__one_thing_wrong__is_found_alone(facts, found):
    assert wrong(judge_machine(facts)) == [found]


def test_machine__read_from_files__is_what_they_say(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "proc").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "etc/os-release").write_text('ID=debian\nPRETTY_NAME="Debian 12"\n')
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable:  2048 kB\n")
    (tmp_path / "run/reboot-required").touch()
    (tmp_path / "run/reboot-required.pkgs").write_text("linux-image\nlinux-image\nlibc6\n")
    facts = read_machine({"state": tmp_path / "a/b", "same": tmp_path}, open_files=7, root=tmp_path)
    assert (facts.distribution, facts.memory_available) == ("Debian 12", 2048 * 1024)
    assert facts.reboot_wanted_by == ("libc6", "linux-image")
    assert [(space.what, space.path) for space in facts.disks] == [("state", tmp_path)]


GPU = GpuSample(index=0, uuid="GPU-1", name="Card")
DRIVER = DriverFacts(
    on_bus=("0000:01:00.0",),
    module="580.65.06",
    library="580.65.06",
    is_nouveau_loaded=False,
    missing_libraries=(),
    locked_nodes=(),
    snapshot=HardwareSnapshot(NOW, "580.65.06", (13, 0), (GPU,)),
)


def judged(facts: DriverFacts) -> list[tuple[str, str, str]]:
    conditions = gpu_conditions(facts.snapshot, "all", DriverSettings())
    return wrong(judge_driver(facts, conditions, transcodes=True))


def test_driver__that_is_well__has_nothing_wrong():
    assert judged(DRIVER) == []
    none_there = HardwareSnapshot(NOW, None, None, (), NvmlFault(Fault.NO_LIBRARY, "not found"))
    missing = ("libnvidia-encode.so.1",)
    bare = replace(DRIVER, on_bus=(), module=None, library=None, missing_libraries=missing, snapshot=none_there)
    assert judged(bare) == []


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        (replace(DRIVER, on_bus=("0000:01:00.0", "0000:02:00.0")), ("fail", "driver", "devices")),
        (replace(DRIVER, module="535.1.2"), ("fail", "driver", "module")),
        (replace(DRIVER, module="535.1.2", library=None), ("fail", "driver", "module")),
        (replace(DRIVER, is_nouveau_loaded=True), ("fail", "driver", "module")),
        (replace(DRIVER, missing_libraries=("libnvidia-encode.so.1",)), ("fail", "driver", "video libraries")),
        (replace(DRIVER, locked_nodes=("/dev/nvidia0",)), ("fail", "driver", "device nodes")),
    ],
)
def test_driver__one_thing_wrong__is_found_alone(facts, found):
    assert judged(facts) == [found]


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        (replace(DRIVER, module=None), Fault.NO_DRIVER),
        (replace(DRIVER, module=None, library=None), Fault.NO_LIBRARY),
        (replace(DRIVER, library="575.57.08"), Fault.MISMATCH),
        (replace(DRIVER, is_nouveau_loaded=True, module=None), Fault.NO_DRIVER),
    ],
)
def test_driver__module_amiss__is_told_once_whatever_nvml_says(facts, kind):
    gone = HardwareSnapshot(NOW, None, None, (), NvmlFault(kind, "the library's words"))
    assert judged(replace(facts, snapshot=gone)) == [("fail", "driver", "module")]


def test_driver__declared_gpu_and_nothing_on_the_bus__is_found():
    gone = HardwareSnapshot(NOW, None, None, (), NvmlFault(Fault.NO_LIBRARY, "not found"))
    facts = replace(DRIVER, on_bus=(), module=None, library=None, snapshot=gone)
    found = judge_driver(facts, gpu_conditions(gone, ("GPU-1",), DriverSettings()), transcodes=True)
    assert [f.trouble for f in found if f.trouble] == [Trouble.NVML_MISSING, Trouble.GPU_UNKNOWN]
    wrong(found)


OF_DRIVER = {
    Fault.NO_DRIVER: Trouble.DRIVER_NOT_LOADED,
    Fault.MISMATCH: Trouble.DRIVER_MISMATCH,
    Fault.HANGING: Trouble.NVML_NOT_ANSWERING,
    Fault.NO_PERMISSION: Trouble.NVML_REFUSED,
    Fault.BLOCKED: Trouble.NVML_BLOCKED,
}
OF_DEVICE = {Fault.LOST: Trouble.GPU_LOST, Fault.RESET_REQUIRED: Trouble.GPU_RESET_REQUIRED}


@pytest.mark.parametrize("kind", [kind for kind in Fault if kind is not Fault.NO_LIBRARY])
def test_driver__any_fault_of_nvml_or_a_device__has_its_name_and_its_own_advice(kind):
    advice = sign_row(SIGN_OF_FAULT[kind]).advice
    fault = NvmlFault(kind, "the driver's words")
    for snapshot, trouble in (
        (HardwareSnapshot(NOW, None, None, (), fault), OF_DRIVER.get(kind, Trouble.NVML_FAILED)),
        (replace(DRIVER.snapshot, gpus=(replace(GPU, fault=fault),)), OF_DEVICE.get(kind, Trouble.GPU_FAILED)),
    ):
        conditions = gpu_conditions(snapshot, "all", DriverSettings())
        found = judge_driver(replace(DRIVER, snapshot=snapshot), conditions, transcodes=True)
        told = [(f.trouble, f.message, f.fix) for f in found if f.trouble]
        if trouble is not Trouble.DRIVER_NOT_LOADED:
            assert told == [(trouble, "the driver's words", advice)]
        else:  # the module is there, so it cannot be what is not loaded
            assert [(t, "the module is" in message, "/dev/nvidia*" in fix) for t, message, fix in told] == [
                (trouble, True, True)
            ]


def test_driver__read_from_files__is_what_they_say(tmp_path):
    device = tmp_path / "sys/bus/pci/devices/0000:01:00.0"
    sound = tmp_path / "sys/bus/pci/devices/0000:01:00.1"
    for folder, kind in ((device, "0x030000"), (sound, "0x040300")):
        folder.mkdir(parents=True)
        (folder / "vendor").write_text("0x10de\n")
        (folder / "class").write_text(f"{kind}\n")
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    version = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n"
    (tmp_path / "proc/driver/nvidia/version").write_text(version)
    (tmp_path / "sys/module/nouveau").mkdir(parents=True)
    facts = read_driver(DRIVER.snapshot, root=tmp_path)
    assert (facts.on_bus, facts.module, facts.is_nouveau_loaded) == (("0000:01:00.0",), "580.65.06", True)


URI = "https://node.example.com:8935"
SEEN = OutsideView(URI, ("203.0.113.1",), connected_in_s=0.02, certificate_ends=NOW + 90 * 86_400)


def test_outside__door_that_is_well__has_nothing_wrong():
    assert wrong(judge_outside(SEEN, now=NOW, where="here", strict=True)) == []


@pytest.mark.parametrize(
    ("view", "strict", "found"),
    [
        (OutsideView(URI, no_name="Name or service not known"), True, ("fail", "dns", URI)),
        (OutsideView(URI, SEEN.addresses, no_door="Connection refused"), True, ("fail", "ports", URI)),
        (OutsideView(URI, SEEN.addresses, no_door="Connection refused"), False, ("warn", "ports", URI)),
        (OutsideView(URI, SEEN.addresses, no_door="refused", is_refused=True), True, ("fail", "ports", URI)),
        (replace(SEEN, connected_in_s=1.5), True, ("warn", "ports", URI)),
        (replace(SEEN, no_tls="wrong version number"), True, ("fail", "certificate", URI)),
        (replace(SEEN, certificate_ends=NOW - 86_400), True, ("fail", "certificate", URI)),
        (replace(SEEN, certificate_ends=NOW + 5 * 86_400), True, ("warn", "certificate", URI)),
    ],
)
def test_outside__one_thing_wrong__is_found_alone(view, strict, found):
    assert wrong(judge_outside(view, now=NOW, where="here", strict=strict)) == [found]


def condition(name: str, status: str, *, gates: bool, subject: str = "") -> dict:
    return {"name": name, "subject": subject, "status": status, "reason": "R", "message": "m", "gates_ready": gates}


ANSWER = {"name": "node", "version": "1", "release": "r", "digest": "abc", "conditions": []}


@pytest.mark.parametrize(
    ("view", "found"),
    [
        (NodeView(7, 65_536, ANSWER), []),
        (NodeView(None, None, None, "refused"), [("fail", "service", "agent")]),
        (NodeView(7, None, None, "timed out"), [("fail", "service", "agent")]),
        (NodeView(7, None, ANSWER | {"digest": "def"}), [("warn", "spec", "node.yaml")]),
        (NodeView(7, None, ANSWER | {"digest": "def", "pull": {"version": 3}}), []),
        (
            NodeView(7, None, ANSWER | {"conditions": [
                condition("GpuDriver", "false", gates=True),
                condition("GasBalance", "false", gates=False, subject="k"),
                condition("Reconciled", "true", gates=True),
            ]}),
            [("fail", "node", "GpuDriver"), ("warn", "node", "GasBalance k")],
        ),
    ],
)  # fmt: skip
def test_node__any_answer__means_this(view, found):
    assert wrong(judge_node(view, listen="127.0.0.1:7936", digest="abc")) == found


GOOD = EndpointView("https://a.example", 42161, took_s=0.3, block_at=int(NOW) - 1)
SECOND = replace(GOOD, url="https://b.example")


@pytest.mark.parametrize(
    ("views", "found"),
    [
        ([GOOD, SECOND], []),
        ([GOOD], [("warn", "chain", "endpoints")]),
        ([GOOD, replace(SECOND, error="no answer")], [("fail", "chain", SECOND.url), ("warn", "chain", "endpoints")]),
        ([GOOD, SECOND, replace(GOOD, url="c", block_at=int(NOW) - 600)], [("fail", "chain", "c")]),
        ([GOOD, SECOND, replace(GOOD, url="c", block_at=int(NOW) + 600)], [("fail", "chain", "c")]),
        ([GOOD, SECOND, replace(GOOD, url="c", took_s=5.0)], [("warn", "chain", "c")]),
    ],
)
def test_chain__any_endpoints__mean_this(views, found):
    assert wrong(judge_chain(views, now=NOW, keeps_time=True)) == found


def test_chain__of_ones_own__may_stand_still_and_have_one_endpoint():
    assert wrong(judge_chain([replace(GOOD, block_at=0)], now=NOW, keeps_time=False)) == []
