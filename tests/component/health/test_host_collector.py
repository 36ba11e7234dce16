import ctypes
import shutil
import struct
import time
from pathlib import Path

import pytest

from livefleet.health import HostCollector
from livefleet.health.host import DiskRoom, disk_room, is_clock_kept
from tests.builders.metrics import Scrape

pytestmark = pytest.mark.component


def test_host__this_machine__clock_and_disk_are_told(tmp_path):
    before = time.time()
    scrape = Scrape.of_readings([], HostCollector(tmp_path, time.time))
    assert before <= scrape.value("livefleet_node_time_seconds") <= time.time()
    usage = shutil.disk_usage(tmp_path)
    assert scrape.value("livefleet_state_disk_size_bytes") == usage.total
    assert scrape.value("livefleet_state_disk_free_bytes") == pytest.approx(usage.free, rel=0.02)  # others write too


def test_host__what_cannot_be_read__is_left_out():
    nowhere = Path("/proc/self/no-such-folder")
    assert disk_room(nowhere) is None
    scrape = Scrape.of_readings([], HostCollector(nowhere, lambda: 5.0, is_kept=lambda: None))
    assert set(scrape.kinds) == {"livefleet_node_time_seconds"}


@pytest.mark.parametrize("kept", [True, False])
def test_host__clock_kept_or_not__is_one_or_zero(kept):
    collector = HostCollector(Path("/"), lambda: 5.0, is_kept=lambda: kept, disk=lambda _: DiskRoom(1, 2))
    scrape = Scrape.of_readings([], collector)
    assert scrape.value("livefleet_clock_synchronised") == kept
    assert scrape.value("livefleet_state_disk_free_bytes") == 1


def test_clock__kernel__says_so_by_libc_s_other_call_too():
    raw = ctypes.create_string_buffer(512)  # struct timex: `status` is an int at byte 40 where long has eight
    answer = ctypes.CDLL(None).ntp_adjtime(raw)
    (status,) = struct.unpack_from("i", raw, 8 + 4 * ctypes.sizeof(ctypes.c_long))
    assert is_clock_kept() is (None if answer < 0 else not status & 0x40)
