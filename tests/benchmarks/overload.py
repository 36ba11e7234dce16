"""More sessions than the machine holds, at once: who runs in real time, and how soon the others are told.

    .venv/bin/python -m tests.benchmarks.overload [--sessions 16] [--seconds 20] [--profile 256x144@30:150k]

The same offer is made twice: to a transcoder that admits by measured cost, and to one that only counts sessions up to
what is offered. A ratio is a segment's time over its duration; an answer above 1 is one that came too late.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from livefleet.kernel import ConditionBoard, SessionId, SystemClock
from livefleet.media import CPU, NO_LIMIT, LocalTranscoder, TranscodeJob
from livefleet.media.ladder import parse_profile
from livefleet.media.live_load import SegmentTiming, percentile, run_live
from livefleet.media.self_benchmark import live_media

BUSY = "TranscoderBusy"


def report(name: str, timings: list[SegmentTiming], offered: int) -> None:
    refused = [t for t in timings if t.error == BUSY]
    failed = [t for t in timings if t.error not in {"", BUSY}]
    done = [t for t in timings if not t.error]
    taken = {t.session for t in done}
    late = {t.session for t in done if t.ratio > 1}
    ratios = [t.ratio for t in done]
    print(f"{name}:")
    print(f"  {len(taken)} of {offered} sessions taken, {len(taken - late)} of them with every segment in real time")
    print(f"  {len(done)} segments, {sum(r > 1 for r in ratios)} too late, {len(failed)} failed")
    if ratios:
        figures = " / ".join(f"{percentile(ratios, share):.2f}" for share in (0.5, 0.95, 0.99, 1))
        print(f"  answer time over duration, 50/95/99/100 %: {figures}")
    if refused:
        print(f"  {len(refused)} refusals, the slowest after {1000 * max(t.took_s for t in refused):.1f} ms")


async def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--sessions", type=int, default=16)
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("--profile", action="append")
    options.add_argument("--width", type=int, default=640)
    options.add_argument("--height", type=int, default=360)
    given = options.parse_args()
    profiles = tuple(parse_profile(text) for text in given.profile or ["256x144@30:150k"])
    clock = SystemClock()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {', '.join(p.name for p in profiles)}")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        folder = Path(scratch)
        source, media = live_media(folder, file=None, width=given.width, height=given.height, segment_s=2)
        print(f"source: {source}")
        for name, max_load in (("by measured cost", 0.8), ("by count alone", NO_LIMIT)):
            async with LocalTranscoder(
                [CPU],
                run_dir=folder / "media",
                board=ConditionBoard(clock),
                clock=clock,
                max_sessions=given.sessions,
                max_load=max_load,
                rng=random.Random(1),
            ) as transcoder:
                for number in range(2):  # what a node in use has learnt long ago
                    job = TranscodeJob(SessionId("first"), number, media[0].data, media[0].duration_ms, profiles)
                    await transcoder.transcode(job)
                await transcoder.end_session(SessionId("first"))
                cpu, began = time.process_time(), time.monotonic()
                timings = await run_live(
                    transcoder, media, profiles, sessions=given.sessions, seconds=given.seconds, leave_at={BUSY}
                )
                busy = (time.process_time() - cpu) / (time.monotonic() - began)
                report(name, timings, given.sessions)
                print(f"  the agent's own process: {100 * busy:.1f} % of a core")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
