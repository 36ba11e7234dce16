"""Our warm worker against the ffmpeg command line at equal settings, interleaved: CPU and wall time a segment.

    .venv/bin/python tests/benchmarks/transcode.py [--pairs 10] [--seconds 2] [--height 720]

Needs `ffmpeg` (Debian: apt-get install ffmpeg). Prints min/median/max of the ratios ours
over theirs: below 1 we are faster, save for segments/s. The command line starts a process a segment, as a node without
warm workers does. Then the worker's memory under one and more 1080p streams at once, over that of the idle process.
"""

import argparse
import asyncio
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from livefleet.kernel import ConditionBoard, SessionId, SystemClock
from livefleet.media import NO_LIMIT, Device, LocalTranscoder, Profile, TranscodeJob
from livefleet.media.sample import make_clip
from livefleet.media.segmenter import split

PROFILES = (
    Profile("240p", 426, 240, 250_000, fps=30),
    Profile("360p", 640, 360, 800_000, fps=30),
    Profile("480p", 854, 480, 1_600_000, fps=30),
)

NICE = ("nice", "-n", "5")  # as our worker: neighbours on the machine take as much from either


def cli_command(source: Path, folder: Path, threads: int | None) -> list[str]:
    """The same work for ffmpeg: one decode, the same filters, rates and container."""
    limit = [] if threads is None else ["-threads", str(threads)]
    command = [*NICE, "ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-copyts", *limit, "-i", str(source)]
    for index, p in enumerate(PROFILES):
        rate = str(p.bitrate)
        command += [
            *("-map", "0:v", "-map", "0:a", "-vf", f"scale={p.width}:{p.height}:flags=bicubic,fps={p.fps}"),
            *("-c:v", "libx264", "-preset", "medium", "-forced-idr", "1", "-bf", "3", *limit),
            *("-b:v", rate, "-minrate", rate, "-maxrate", rate, "-bufsize", rate, "-pix_fmt", "yuv420p"),
            *("-c:a", "copy", "-muxdelay", "0", "-muxpreload", "0", "-f", "mpegts", str(folder / f"cli-{index}.ts")),
        ]
    return command


def run_cli(command: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of one run."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cpu_of(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int, field: str) -> int:
    """A memory figure of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) // 1024


def cli_peak_mb(command: list[str]) -> int:
    """The most that one run held."""
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss // 1024


def a_source(folder: Path, seconds: float, height: int) -> tuple[Path, int]:
    """A segment's file and its duration in ms."""
    size = {"width": height * 16 // 9, "height": height}
    segment = split(make_clip(folder / f"{height}.mp4", seconds, **size), seconds)[0]
    path = folder / f"{height}.ts"
    path.write_bytes(segment.data)
    return path, segment.duration_ms


def show(name: str, ratios: list[float]) -> None:
    print(f"{name:<48} {min(ratios):.2f} / {statistics.median(ratios):.2f} / {max(ratios):.2f}")


async def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--pairs", type=int, default=10)
    options.add_argument("--seconds", type=float, default=2)
    options.add_argument("--height", type=int, default=720)
    given = options.parse_args()
    if shutil.which("ffmpeg") is None:
        print("needs ffmpeg", file=sys.stderr)
        return 2
    cores = len(os.sched_getaffinity(0))
    streams = 2 * cores
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        folder = Path(scratch)
        source, duration_ms = a_source(folder, given.seconds, given.height)
        large, large_ms = a_source(folder, 2, 1080)
        clock = SystemClock()
        async with LocalTranscoder(
            [Device("cpu", slots=cores)],
            run_dir=folder / "media",
            board=ConditionBoard(clock),
            clock=clock,
            max_sessions=None,
            max_load=NO_LIMIT,
            deadline_s=lambda _: 600,
        ) as transcoder:
            pid = transcoder.worker_pids["cpu"]
            assert pid is not None

            async def ours(count: int = 1, path: Path = source, ms: int = duration_ms) -> tuple[float, float]:
                cpu, started = cpu_of(pid), time.perf_counter()
                jobs = (TranscodeJob(SessionId(f"s{n}"), 0, path, ms, PROFILES) for n in range(count))
                await asyncio.gather(*(transcoder.transcode(job) for job in jobs))
                return time.perf_counter() - started, cpu_of(pid) - cpu

            def many(threads: int | None) -> tuple[float, float]:
                before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
                running = [
                    subprocess.Popen(cli_command(source, Path(tempfile.mkdtemp(dir=folder)), threads))
                    for _ in range(streams)
                ]
                assert not any(process.wait() for process in running)
                wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
                return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

            idle = memory_mb(pid, "VmRSS")
            peaks: dict[int, int] = {}
            for count in range(1, streams + 1):
                for _ in range(2):
                    await ours(count, large, large_ms)
                peaks[count] = memory_mb(pid, "VmHWM") - idle
            one, default = cli_command(source, folder, 1), cli_command(source, folder, None)
            rows: dict[str, list[float]] = {}
            for _ in range(given.pairs):
                (wall, cpu), (wall1, cpu1), (wall_n, _) = await ours(), run_cli(one), run_cli(default)
                rows.setdefault("CPU, one stream, over cli 1 thread", []).append(cpu / cpu1)
                rows.setdefault("wall, one stream, over cli 1 thread", []).append(wall / wall1)
                rows.setdefault("wall, one stream, over cli default threads", []).append(wall / wall_n)
                (wall, cpu), (wall1, cpu1), (wall_n, cpu_n) = await ours(streams), many(1), many(None)
                rows.setdefault(f"segments/s, {streams} streams, over cli 1 thread", []).append(wall1 / wall)
                rows.setdefault(f"segments/s, {streams} streams, over cli default", []).append(wall_n / wall)
                rows.setdefault(f"CPU, {streams} streams, over cli 1 thread", []).append(cpu / cpu1)
                rows.setdefault(f"CPU, {streams} streams, over cli default threads", []).append(cpu / cpu_n)
            print(f"{given.pairs} pairs, {cores} cores, load {os.getloadavg()[0]:.1f}: min / median / max")
            for name, ratios in rows.items():
                show(name, ratios)
            print(f"memory: idle {idle} MB; over that, by 1080p streams at once: {peaks} MB")
            print(f"  a further 1080p stream: {(peaks[streams] - peaks[1]) / (streams - 1):.0f} MB")
            print(f"  cli 1 thread, one 1080p stream: {cli_peak_mb(cli_command(large, folder, 1))} MB")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
