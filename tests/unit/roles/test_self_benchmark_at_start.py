from dataclasses import replace
from pathlib import Path

import pytest

from livefleet.media import CPU, DeviceBenchmark, DeviceKind
from livefleet.media.ladder import parse_profile
from livefleet.roles.self_benchmark import bench_command, needs_measuring
from livefleet.spec import SelfBenchmark

pytestmark = pytest.mark.unit

SETTINGS = SelfBenchmark(ladder=("P144p30fps16x9", "640x360@30:800k"), up_mbit=100)
RECORD = DeviceBenchmark(
    device="GPU-1",
    kind=DeviceKind.NVIDIA,
    driver_version="580.1",
    cores=8.0,
    cores_of_others=0.0,
    profiles=tuple(parse_profile(text) for text in SETTINGS.ladder),
    source="generated 1920x1080@30",
    limit=9,
    hardware_limit=12,
    is_complete=True,
    duration_ratio=0.7,
    cpu_s_per_pixel=1e-8,
    place_s_per_pixel=1e-8,
    in_bit_per_s=1.0,
    out_bit_per_s=1.0,
    measured_at="2026-01-01T00:00:00+00:00",
    up_bit_per_s=100e6,
)


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        (RECORD, False),
        (None, True),
        (replace(RECORD, driver_version="590.10"), True),
        (replace(RECORD, cores=4.0), True),
        (replace(RECORD, profiles=RECORD.profiles[:1]), True),
        (replace(RECORD, source="generated 1280x720@30"), True),
        (replace(RECORD, up_bit_per_s=None), True),
    ],
)
def test_needs_measuring__another_machine_ladder_source_or_network(known, wanted):
    assert needs_measuring(known, SETTINGS, "580.1", 8.0) is wanted


def test_bench_command__says_all_that_was_declared():
    assert bench_command(SETTINGS, CPU, Path("/state"))[6:] == (
        "bench",
        "transcode",
        "--device=cpu",
        "--ladder=P144p30fps16x9,640x360@30:800k",
        "--source=1920x1080",
        "--seconds=6",
        "--budget=120",
        "--up-mbit=100",
        "--write=/state",
    )
