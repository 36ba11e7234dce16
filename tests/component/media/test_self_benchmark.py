"""A short benchmark on the real worker process, as the command runs it."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from livefleet.cli import main
from livefleet.kernel import OutsideWorld, SystemClock
from livefleet.media import CPU, Device, DeviceKind
from livefleet.media.benchmark import load_benchmark
from livefleet.media.self_benchmark import BenchmarkPlan, live_media, measure_device
from tests.builders.media import a_profile

pytestmark = pytest.mark.component

PLAN = BenchmarkPlan((a_profile(),), seconds=2, budget_s=0.1)  # one level


@pytest.fixture
def measure(tmp_path):
    async def run(plan, device=CPU):
        source, media = live_media(tmp_path, file=None, width=320, height=180, segment_s=1)
        return await measure_device(
            device,
            plan,
            media,
            source=source,
            driver_version=None,
            run_dir=tmp_path / "media",
            clock=SystemClock(),
        )

    return run


async def test_measure__time_is_up_after_one_level__says_so(measure):
    found = await measure(replace(PLAN, max_ratio=100))
    assert [(level.sessions, len(level.timings), level.held) for level in found.levels] == [(1, 2, True)]
    record = found.record
    assert (record.limit, record.hardware_limit, record.is_complete) == (1, 1, False)
    assert {timing.frames for timing in found.levels[0].timings} == {30}
    assert record.cpu_s_per_pixel > 0
    assert record.place_s_per_pixel > 0
    assert record.out_bit_per_s > 50_000
    assert record.in_bit_per_s > 50_000


async def test_measure__nothing_in_time__is_a_limit_of_none_and_given_up_early(measure):
    found = await measure(replace(PLAN, max_ratio=0, seconds=60))
    assert found.record.limit == 0
    assert found.record.is_complete
    assert len(found.levels[0].timings) < found.levels[0].planned
    assert found.best is None


async def test_measure__network_carries_less__counts_for_the_limit(measure):
    found = await measure(replace(PLAN, max_ratio=100, out_bit_per_s=1000))
    assert (found.record.hardware_limit, found.record.limit) == (1, 0)


async def test_measure__device_without_encoder__says_why(measure):
    with pytest.raises(OutsideWorld, match="h264_nvenc"):
        await measure(PLAN, Device("GPU-none", DeviceKind.NVIDIA))


def test_command__writes_the_limit_and_prints_the_usual_columns(tmp_path):
    arguments = ["bench", "transcode", "--device", "cpu", "--profile", "256x144@30:150k", "--source", "320x180"]
    arguments += ["--seconds", "2", "--segment", "1", "--budget", "0.1", "--write", str(tmp_path)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code in (0, 1), result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "timestamp,session,segment,seg_dur,transcode_time,frames"
    assert lines[1].split(",")[1:4] == ["0", "0", "1"]
    for name in ("Concurrent Sessions", "Total Segs Transcoded", "* Real-Time Duration Ratio *", "Network out"):
        assert name in result.stdout
    assert "cpu: 1 sessions" in result.stderr
    record = load_benchmark(tmp_path).of("cpu")
    assert record is not None
    assert record.profiles[0].width == 256

    told = CliRunner().invoke(main, [*arguments, "--json"])
    (document,) = json.loads(told.stdout)
    assert document["record"]["device"] == "cpu"
    assert document["levels"][0]["sessions"] == 1
