"""RAM as the kernel tells it, over a made-up /proc."""

import os
from pathlib import Path

import pytest

from livefleet.hardware import CPU_MEMORY, MachineMemory, MemoryReading

pytestmark = pytest.mark.unit

PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20


class NoSampler:
    latest = None

    async def sample(self):
        raise AssertionError("RAM needs no sample")


def a_machine(root: Path, *, limit: str | None = None) -> MachineMemory:
    (root / "proc/17").mkdir(parents=True)
    (root / "proc/meminfo").write_text("MemTotal:     1024 kB\nMemFree: 1 kB\nMemAvailable:  256 kB\n")
    (root / "proc/17/statm").write_text("900 3 2 1 0 1 0\n")
    if limit is not None:
        group = root / "sys/fs/cgroup/system.slice/node"
        group.mkdir(parents=True)
        (root / "proc/self").mkdir()
        (root / "proc/self/cgroup").write_text("0::/system.slice/node\n")
        (group / "memory.max").write_text(limit + "\n")
        (group / "memory.current").write_text("300000\n")
        (group / "memory.stat").write_text("anon 1\ninactive_file 100000\n")
    return MachineMemory(NoSampler(), root=root)


def test_ram__without_a_limit__is_the_machines(tmp_path: Path):
    reading = a_machine(tmp_path).of(CPU_MEMORY, {17, 99})
    assert reading == MemoryReading(MIB, MIB * 3 // 4, {17: 3 * PAGE})


@pytest.mark.parametrize("limit", ["max", str(2 * MIB)])
def test_ram__limit_of_no_effect__is_the_machines(tmp_path: Path, limit: str):
    assert a_machine(tmp_path, limit=limit).of(CPU_MEMORY, ()) == MemoryReading(MIB, MIB * 3 // 4, {})


def test_ram__group_has_less__is_the_groups_without_pages_that_would_be_dropped(tmp_path: Path):
    assert a_machine(tmp_path, limit="400000").of(CPU_MEMORY, ()) == MemoryReading(400000, 200000, {})


def test_ram__machine_is_shorter_than_the_group__is_what_the_machine_has(tmp_path: Path):
    assert a_machine(tmp_path, limit="500000").of(CPU_MEMORY, ()) == MemoryReading(500000, 500000 - MIB // 4, {})


def test_ram__not_told__is_unknown(tmp_path: Path):
    assert MachineMemory(NoSampler(), root=tmp_path).of(CPU_MEMORY, ()) is None
