"""The driver's reports through a real journald and journalctl, in a mount namespace of their own."""

import asyncio
import os
import subprocess
import sys
import time

import pytest

from livefleet.hardware import HardwareSampler, KernelLog, LogAccess
from livefleet.hardware.kernel_log import JOURNALCTL
from livefleet.kernel import SystemClock

pytestmark = pytest.mark.component  # as root: it makes a mount namespace of its own

READ = tuple(word for word in JOURNALCTL if word != "--dmesg")  # what this machine's kernel says is left alone
JOURNALD = """
mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal /run/log/journal
chmod 0750 /run/log/journal
exec /lib/systemd/systemd-journald
"""


STORM = """
order = 0
print("x" * 300_000)
while True:
    order = order + 1
    fields = f'"__MONOTONIC_TIMESTAMP":"{order}","__REALTIME_TIMESTAMP":"1"'
    print("{" + fields + ',"MESSAGE":"NVRM: Xid (PCI:0000:01:00): 31, x"}')
"""


A = "GPU-aaaaaaaa-0000-0000-0000-000000000001"
B = "GPU-bbbbbbbb-0000-0000-0000-000000000002"


class Journal:
    """A journald whose log is in memory."""

    def __init__(self):
        self.process = subprocess.Popen(["unshare", "--mount", "sh", "-c", JOURNALD], stderr=subprocess.DEVNULL)

    def within(self, *command):
        return ("nsenter", f"--target={self.process.pid}", "--mount", *command)

    def write(self, line):
        deadline = time.monotonic() + 20
        while subprocess.run(
            self.within("systemd-cat"), input=line.encode(), check=False, capture_output=True
        ).returncode:
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.fixture
def journal():
    journal = Journal()
    try:
        yield journal
    finally:
        journal.process.kill()
        journal.process.wait()


async def until(is_so):
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_log__past_and_present_reports__each_once_over_a_lost_child(journal):
    for line in ("nothing of interest", "NVRM: Xid (PCI:0000:01:00): 31, pid=7, name=a b, MMU", "NVRM: none"):
        journal.write(line)
    found, log = [], KernelLog(journal.within(*READ), again_s=0.05)
    following = asyncio.create_task(log.follow(found.append))
    await until(lambda: found)
    assert (found[0].bus, found[0].code, found[0].text) == ("0000:01:00", 31, "pid=7, name=a b, MMU")
    assert abs(found[0].at - time.time()) < 60
    assert log.access is LogAccess.READING

    journal.write("NVRM: Xid (PCI:0000:02:00): 79, GPU has fallen off the bus.")
    await until(lambda: len(found) == 2)
    child = subprocess.check_output(["pgrep", "--parent", str(os.getpid()), "journalctl"], text=True).split()
    subprocess.run(["kill", *child], check=True)
    journal.write("NVRM: Xid (PCI:0000:02:00): 48, DBE")
    await until(lambda: len(found) == 3)
    assert [each.code for each in found] == [31, 79, 48]

    following.cancel()
    await asyncio.wait([following])
    assert subprocess.run(["pgrep", "--parent", str(os.getpid()), "journalctl"], check=False).returncode == 1


async def test_sampler__reports_of_before_its_start__are_known_and_a_driver_s_load_ends_them(journal, nvml):
    journal.write("NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.")
    journal.write("NVRM: loading NVIDIA UNIX x86_64 Kernel Module  580.65.06")
    journal.write("NVRM: Xid (PCI:0000:02:00): 48, DBE")
    nvml.gpu(0, A)
    nvml.gpu(1, B)
    log = KernelLog(journal.within(*READ))
    async with HardwareSampler(SystemClock(), every_s=0.05, event_wait_ms=20, kernel_log=log) as sampler:
        running = asyncio.create_task(sampler.run())
        await until(lambda: sampler.xids.of(B).counts)
        assert (sampler.xids.of(A).counts, sampler.xids.of(A).last) == ({79: 1}, None)
        assert (sampler.xids.of(B).last.code, sampler.xids.of(B).last.text) == (48, "DBE")
        assert sampler.reads_kernel_log
        running.cancel()
        await asyncio.wait([running])


async def test_log__of_a_user_without_the_group__says_so(journal):
    journal.write("NVRM: Xid (PCI:0000:01:00): 31, MMU")
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    found, log = [], KernelLog(journal.within(*nobody, *READ))
    following = asyncio.create_task(log.follow(found.append))
    await until(lambda: log.access is LogAccess.NOT_PERMITTED)
    assert "insufficient permissions" in log.why
    assert found == []
    following.cancel()
    await asyncio.wait([following])


async def test_log__no_journalctl__says_so():
    log = KernelLog(("/nonexistent/journalctl",))
    following = asyncio.create_task(log.follow(lambda _: None))
    await until(lambda: log.access is LogAccess.NOT_THERE)
    following.cancel()
    await asyncio.wait([following])


async def test_log__lines_without_end_and_a_storm__are_read_in_bounds():
    """A program that writes as journalctl does, but far too much."""
    found, log = [], KernelLog((sys.executable, "-c", STORM))
    following = asyncio.create_task(log.follow(found.append))
    await until(lambda: len(found) >= 500)
    began, before = time.monotonic(), len(found)
    await asyncio.sleep(1.2)
    assert len(found) - before <= 500 * (2 + (time.monotonic() - began))
    following.cancel()
    await asyncio.wait([following])
