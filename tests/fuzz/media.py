"""Damage small real segments at random for a while and see what the worker process makes of them.

    .venv/bin/python -m tests.fuzz.media [--seconds 60] [--seed 1] [--keep FOLDER]

Prints how often each answer came. A segment that kills or hangs the process, is answered with a text that gateways
punish, or whose pixels are reported wrongly, is kept under FOLDER; the exit code is then 1. The same seed does the
same.
"""

import argparse
import hashlib
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from livefleet.media import TranscodeError
from livefleet.media.inspection import inspect
from livefleet.media.messages import Done
from tests.builders.hostile_media import KINDS, NOT_PUNISHED, Damage, WorkerDied, WorkerProcess, damaged, seeds


def a_damage(rng: random.Random) -> Damage:
    return Damage(rng.choice(KINDS), rng.randrange(1 << 16), rng.randrange(1 << 16), rng.randrange(1 << 32))


def verdict(worker: WorkerProcess, data: bytes, deadline_s: float) -> tuple[str, bool]:
    """What came of a segment, and whether that is as it should be. Raises WorkerDied."""
    answer = worker.run(data, deadline_s)
    if not isinstance(answer, Done):
        is_fine = answer.text in NOT_PUNISHED
        return answer.text if is_fine else f"{answer.text} ({answer.detail})", is_fine
    try:
        found = tuple(inspect(path).pixels for path in worker.outputs)
    except TranscodeError as error:
        return f"unreadable rendition: {error}", False
    return ("done", True) if found == answer.encoded_pixels else ("wrong pixels", False)


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--deadline", type=float, default=30)
    options.add_argument("--keep", type=Path, default=Path("fuzz-media"))
    given = options.parse_args()
    rng = random.Random(given.seed)
    counts: Counter[str] = Counter()
    bad = 0
    ends = time.monotonic() + given.seconds
    while time.monotonic() < ends:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch, WorkerProcess(Path(scratch)) as worker:
            while time.monotonic() < ends:
                several = [a_damage(rng) for _ in range(1 + int(rng.expovariate(0.3)))]
                data = damaged(rng.randrange(len(seeds())), rng.randrange(len(seeds())), several)
                try:
                    what, fine = verdict(worker, data, given.deadline)
                except WorkerDied as error:
                    what, fine = f"lost the process: {error}", False
                counts[what] += 1
                if not fine:
                    bad += 1
                    given.keep.mkdir(parents=True, exist_ok=True)
                    (given.keep / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
                    if what.startswith("lost"):
                        break
    for what, times in counts.most_common():
        print(f"{times:7} {what}")
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
