"""The real worker process under the real supervisor, and what happens when it is killed, stopped, fed or flooded."""

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

import pytest

from livefleet.kernel import SessionId, Status, SystemClock
from livefleet.media import (
    CPU,
    NO_LIMIT,
    TRANSCODER_READY,
    Device,
    DeviceKind,
    LocalTranscoder,
    TranscodeError,
    Transcoder,
)
from livefleet.media.inspection import inspect
from tests.builders.media import a_job, a_profile

pytestmark = pytest.mark.component

PATIENCE_S = 60


@pytest.fixture
def make(tmp_path, board):
    def build(*devices, **changes):
        fields = {"run_dir": tmp_path / "media", "board": board, "clock": SystemClock(), "rng": random.Random(1)}
        fields |= {"cores": 100.0}  # whatever else this machine is busy with
        return LocalTranscoder(devices or (CPU,), **fields | {"ready_timeout_s": PATIENCE_S} | changes)

    return build


def condition(board, device="cpu"):
    return next(c for c in board.all() if (c.name, c.subject) == (TRANSCODER_READY, device))


def is_alive(pid):
    return Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text()


def environment_of(pid):
    return Path(f"/proc/{pid}/environ").read_bytes()


async def until(predicate):
    async with asyncio.timeout(PATIENCE_S):
        while not predicate():
            await asyncio.sleep(0.02)


async def at_work(transcoder, run_dir):
    """Wait until a worker has opened an output."""
    await until(lambda: any(run_dir.glob("device-*/job-*/rendition-*")))


async def test_transcode__segment__comes_back_and_leaves_nothing(make, segment, board, tmp_path):
    async with make() as transcoder:
        as_protocol: Transcoder = transcoder
        result = await as_protocol.transcode(a_job(segment, a_profile(), a_profile(width=160, height=90)))
        assert [inspect(r.data).pixels for r in result.renditions] == [r.pixels for r in result.renditions]
        assert result.decoded_pixels == 320 * 180 * 30
        assert condition(board).status is Status.TRUE
        assert list((tmp_path / "media" / "device-0").iterdir()) == []
        pid = transcoder.worker_pids["cpu"]
    assert not is_alive(pid)
    assert not (tmp_path / "media").exists()
    assert board.all() == ()


async def test_transcode__hash_wanted__comes_with_each_rendition(make, segment):
    async with make() as transcoder:
        hashed = await transcoder.transcode(a_job(segment, a_profile(), a_profile(), calc_perceptual_hash=True))
        plain = await transcoder.transcode(a_job(segment))
    first, second = (rendition.perceptual_hash for rendition in hashed.renditions)
    assert first
    assert first == second
    assert plain.renditions[0].perceptual_hash is None


async def test_transcode__source_in_a_file__is_used_in_place(make, segment, tmp_path):
    source = tmp_path / "source.ts"
    source.write_bytes(segment)
    async with make() as transcoder:
        result = await transcoder.transcode(a_job(source))
    assert inspect(result.renditions[0].data).frames == 30
    assert source.read_bytes() == segment


async def test_transcode__bad_segment__is_refused_and_the_worker_lives_on(make, segment):
    async with make() as transcoder:
        pid = transcoder.worker_pids["cpu"]
        for source in (b"", b"junk" * 1000):
            with pytest.raises(TranscodeError) as refused:
                await transcoder.transcode(a_job(source))
            assert refused.value.text == "TranscoderInvalidVideo"
        await transcoder.transcode(a_job(segment))
        assert transcoder.worker_pids["cpu"] == pid


async def test_capabilities__software__are_what_was_proven(make):
    async with make() as transcoder:
        announced = transcoder.capability_ids
    assert announced >= {*range(13), 26}
    assert announced >= {14, 15, 17, 18, 21, 22, 23, 24, 25}, "FFmpeg as PyAV ships it decodes all of these"
    assert transcoder.capability_ids == frozenset()


async def test_worker__killed_under_a_job__segment_is_tried_again(make, long_segment, heavy, board, tmp_path):
    changes = []
    board.on_change(lambda after, _before: changes.append(after.status))
    async with make() as transcoder:
        async with asyncio.TaskGroup() as group:
            job = group.create_task(transcoder.transcode(a_job(long_segment, heavy, duration_ms=2000)))
            await at_work(transcoder, tmp_path / "media")
            before = transcoder.worker_pids["cpu"]
            os.kill(before, signal.SIGKILL)
        assert inspect(job.result().renditions[0].data).frames == 60
        assert transcoder.worker_pids["cpu"] != before
        assert condition(board).status is Status.TRUE
    assert Status.FALSE in changes


async def test_worker__killed_twice__segment_fails_and_the_next_succeeds(make, long_segment, heavy, segment, tmp_path):
    async with make(Device("cpu", slots=1)) as transcoder:
        async with asyncio.TaskGroup() as group:
            job = group.create_task(_outcome(transcoder.transcode(a_job(long_segment, heavy, duration_ms=2000))))
            for _ in range(2):
                await at_work(transcoder, tmp_path / "media")
                pid = transcoder.worker_pids["cpu"]
                os.kill(pid, signal.SIGKILL)
                await until(lambda gone=pid: transcoder.worker_pids["cpu"] not in (None, gone))
        assert isinstance(job.result(), TranscodeError)
        assert job.result().text == "TranscoderStopped"
        assert "went away" in job.result().detail
        await transcoder.transcode(a_job(segment))


async def test_worker__killed_with_neighbours__each_segment_is_served(make, long_segment, heavy, tmp_path):
    async with make(Device("cpu", slots=2), max_load=NO_LIMIT) as transcoder, asyncio.TaskGroup() as group:
        jobs = [
            group.create_task(transcoder.transcode(a_job(long_segment, heavy, session=s, duration_ms=2000)))
            for s in ("a", "b")
        ]
        await at_work(transcoder, tmp_path / "media")
        os.kill(transcoder.worker_pids["cpu"], signal.SIGKILL)
    assert [inspect(j.result().renditions[0].data).frames for j in jobs] == [60, 60]


async def test_worker__killed_while_idle__next_segment_does_not_notice(make, segment):
    async with make() as transcoder:
        os.kill(transcoder.worker_pids["cpu"], signal.SIGKILL)
        result = await transcoder.transcode(a_job(segment))
    assert len(result.renditions) == 1


async def test_worker__hangs__segment_fails_and_the_process_is_replaced(make, segment):
    async with make(deadline_s=lambda duration_ms: 0.3 if duration_ms == 1 else 60) as transcoder:
        pid = transcoder.worker_pids["cpu"]
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(TranscodeError) as failed:
            await transcoder.transcode(a_job(segment, duration_ms=1))
        assert (failed.value.text, failed.value.detail) == ("TranscoderStopped", "no answer within 0.3 s")
        await transcoder.transcode(a_job(segment))
        assert transcoder.worker_pids["cpu"] != pid


async def test_worker__merely_slow__loses_the_job_but_not_its_process(make, long_segment, heavy, segment):
    async with make(deadline_s=lambda duration_ms: 0.2 if duration_ms == 2000 else 60) as transcoder:
        pid = transcoder.worker_pids["cpu"]
        with pytest.raises(TranscodeError) as failed:
            await transcoder.transcode(a_job(long_segment, heavy, duration_ms=2000))
        assert (failed.value.text, failed.value.detail) == ("TranscoderStopped", "the job was given up")
        await transcoder.transcode(a_job(segment))
        assert transcoder.worker_pids["cpu"] == pid


async def test_transcode__cancelled__frees_its_place(make, long_segment, heavy, segment, tmp_path):
    async with make(Device("cpu", slots=1)) as transcoder:
        job = asyncio.ensure_future(transcoder.transcode(a_job(long_segment, heavy, duration_ms=2000)))
        await at_work(transcoder, tmp_path / "media")
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        await transcoder.transcode(a_job(segment))


async def test_transcode__too_many_wait__is_busy(make, segment):
    async with make(Device("cpu", slots=1)) as transcoder:
        outcomes = await asyncio.gather(*(_outcome(transcoder.transcode(a_job(segment, sequence=n))) for n in range(8)))
    texts = [o.text for o in outcomes if isinstance(o, TranscodeError)]
    assert texts == ["TranscoderBusy"] * 3  # one at work and four waiting


async def test_transcode__too_many_sessions__is_busy_until_one_ends(make, segment):
    async with make(max_sessions=1) as transcoder:
        await transcoder.transcode(a_job(segment, session="a"))
        with pytest.raises(TranscodeError) as refused:
            await transcoder.transcode(a_job(segment, session="b"))
        assert refused.value.text == "TranscoderBusy"
        await transcoder.end_session(SessionId("a"))
        await transcoder.end_session(SessionId("never seen"))
        await transcoder.transcode(a_job(segment, session="b"))
        assert transcoder.sessions == 1


async def test_two_devices__sessions_are_spread_and_survive_the_loss_of_one(make, segment, board):
    async with make(Device("one", slots=1), Device("two", slots=1)) as transcoder:
        await asyncio.gather(*(transcoder.transcode(a_job(segment, session=s)) for s in ("a", "b")))
        assert {device.id: device.sessions for device in transcoder.load.devices} == {"one": 1, "two": 1}
        for pid in transcoder.worker_pids.values():
            assert is_alive(pid)
        os.kill(transcoder.worker_pids["one"], signal.SIGKILL)
        await asyncio.gather(*(transcoder.transcode(a_job(segment, session=s)) for s in ("a", "b", "c")))
        await until(lambda: condition(board, "one").status is Status.TRUE)


async def test_gpu_without_encoder__is_a_condition_and_announces_nothing(make, segment, board):
    async with make(Device("GPU-none", DeviceKind.NVIDIA)) as transcoder:
        found = condition(board, "GPU-none")
        assert (found.status, found.reason) == (Status.FALSE, "EncoderMissing")
        assert "h264_nvenc" in found.message
        assert transcoder.capability_ids == frozenset()


async def test_close__job_under_way__is_drained(make, long_segment, heavy):
    async with make(drain_s=PATIENCE_S) as transcoder, asyncio.TaskGroup() as group:
        job = group.create_task(transcoder.transcode(a_job(long_segment, heavy, duration_ms=2000)))
        await asyncio.sleep(0)
    assert len(job.result().renditions) == 1


async def test_close__drain_runs_out__waiting_jobs_are_told(make, long_segment, heavy, tmp_path):
    transcoder = make(Device("cpu", slots=1), drain_s=0.1)
    async with asyncio.TaskGroup() as group, transcoder:
        jobs = [
            group.create_task(_outcome(transcoder.transcode(a_job(long_segment, heavy, duration_ms=2000))))
            for _ in range(2)
        ]
        await at_work(transcoder, tmp_path / "media")
        pid = transcoder.worker_pids["cpu"]
    assert [j.result().text for j in jobs] == ["TranscoderStopped"] * 2
    assert not is_alive(pid)
    with pytest.raises(TranscodeError):
        await transcoder.transcode(a_job(long_segment))


AGENT = """
import asyncio, sys
from pathlib import Path
from livefleet.kernel import ConditionBoard, SystemClock
from livefleet.media import CPU, LocalTranscoder

async def main():
    clock = SystemClock()
    board = ConditionBoard(clock)
    async with LocalTranscoder([CPU], run_dir=Path(sys.argv[1]), board=board, clock=clock) as transcoder:
        print(transcoder.worker_pids["cpu"], flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_agent__killed__takes_its_worker_along_and_the_next_one_tidies_up(make, tmp_path):
    command = [sys.executable, "-c", AGENT, str(tmp_path / "media")]
    agent = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    pid = int(await agent.stdout.readline())
    assert is_alive(pid)
    (tmp_path / "media" / "device-0" / "left-over").write_bytes(b"x")
    agent.kill()
    await agent.wait()
    await until(lambda: not is_alive(pid))
    async with make():
        assert not (tmp_path / "media" / "device-0" / "left-over").exists()


async def test_worker__environment__holds_no_secret(make, monkeypatch):
    monkeypatch.setenv("LIVEFLEET_ETH_PASSWORD", "test-only")
    async with make() as transcoder:
        environment = environment_of(transcoder.worker_pids["cpu"])
    assert b"test-only" not in environment


async def _outcome(job):
    try:
        return await job
    except TranscodeError as error:
        return error
