"""Media as nobody should send it: small real files, damaged, and the worker process that has to live with them."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from livefleet.media import Profile
from livefleet.media.messages import (
    LENGTH_BYTES,
    Done,
    Failed,
    FromWorker,
    Ready,
    RunJob,
    body_length,
    parse_from_worker,
)
from livefleet.media.messages import frame as as_frame
from tests.builders.media import a_clip, a_segment, encoded, frames_at

# What a gateway takes as the input's fault, word by word; for anything else it leaves the node.
NOT_PUNISHED = frozenset(
    (
        "Unsupported input pixel format",
        "Error initializing filtergraph",
        "Too many outputs",
        "Unsupported input codec",
        "No keyframes in input",
        "Encoded frames runaway",
        "Decoder not found",
        "Demuxer not found",
        "TranscoderInvalidVideo",
    )
)

PROFILES = (
    Profile("pass", 146, 82, 100_000),
    Profile("rate", 160, 90, 100_000, fps=30),
)


@cache
def seeds() -> tuple[bytes, ...]:
    """One small file of every kind that is read."""
    size = {"width": 160, "height": 96, "bitrate": 80_000}
    return (
        a_segment(0.3, **size),
        a_segment(0.3, **size, audio=False, codec="libx265"),
        encoded(frames_at(range(0, 300, 33), 160, 96), bf="2"),
        *(a_clip(0.3, suffix=suffix, **size) for suffix in (".ts", ".mp4", ".mkv", ".flv")),
    )


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing done to a file. `at` and `other` are parts of its length out of 65536."""

    kind: str
    at: int
    other: int
    value: int

    def done_to(self, data: bytes, donor: bytes) -> bytes:
        """The damaged file; `donor` is another one."""
        at = self.at * len(data) >> 16
        length = 1 + (self.other * self.other * len(data) >> 32)
        match self.kind:
            case "bit":
                return _with(data, at, bytes([data[at] ^ 1 << self.value % 8])) if data else data
            case "byte":
                return _with(data, at, bytes([self.value & 0xFF]))
            case "number":
                return _with(data, at, (0, 0x7FFFFFFF, 0xFFFFFFFF, self.value)[self.value % 4].to_bytes(4, "big"))
            case "head":
                return _with(data, self.at * min(len(data), 1500) >> 16, bytes([self.value & 0xFF]))
            case "cut":
                return data[:at]
            case "drop":
                return data[:at] + data[at + length :]
            case "again":
                return data[: at + length] + data[at:]
            case "zero":
                return _with(data, at, bytes(min(length, len(data) - at)))
            case "splice":
                return data[:at] + donor[self.other * len(donor) >> 16 :]
            case "packet":  # exchange two TS packets' places
                return _exchanged(data, at // 188 * 188, (self.other * len(data) >> 16) // 188 * 188)
        raise ValueError(self.kind)


KINDS = ("bit", "byte", "number", "head", "cut", "drop", "again", "zero", "splice", "packet")


def damaged(seed: int, donor: int, damages: Sequence[Damage]) -> bytes:
    """A file of `seeds`, hurt."""
    data = seeds()[seed]
    for damage in damages:
        data = damage.done_to(data, seeds()[donor])
    return data


def _with(data: bytes, at: int, piece: bytes) -> bytes:
    return data[:at] + piece + data[at + len(piece) :]


def _exchanged(data: bytes, one: int, other: int) -> bytes:
    one, other = min(one, other), max(one, other)
    if other - one < 188 or other + 188 > len(data):
        return data
    packets = data[one : one + 188], data[other : other + 188]
    return data[:one] + packets[1] + data[one + 188 : other] + packets[0] + data[other + 188 :]


class WorkerDied(Exception):
    """The process ended under a job, or did not answer in time."""


class WorkerProcess:
    """The real worker process, spoken to as the agent does. Enter it to start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self.outputs = tuple(folder / f"out-{index}" for index in range(len(PROFILES)))

    def __enter__(self) -> Self:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-m", "livefleet.media.worker", "--device", "cpu", "--kind", "cpu"]
        command += ["--slots", "1", "--folder", str(self._folder), "--agent", str(os.getpid())]
        with theirs:
            self._process = subprocess.Popen(command, stdin=theirs.fileno())
        self._socket = ours
        assert isinstance(self._receive(60), Ready)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def peak_memory_mb(self) -> int:
        """The most that the process has held."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024

    def run(self, data: bytes, deadline_s: float) -> Done | Failed:
        """What the worker makes of a segment. Raises WorkerDied."""
        source = self._folder / "source"
        source.write_bytes(data)
        self._number += 1
        self._socket.sendall(as_frame(RunJob(self._number, 0, source, self.outputs, 1000, PROFILES, "0x0")))
        answer = self._receive(deadline_s)
        assert isinstance(answer, Done | Failed)
        assert answer.id == self._number
        return answer

    def _receive(self, deadline_s: float) -> FromWorker:
        return parse_from_worker(self._exactly(body_length(self._exactly(LENGTH_BYTES, deadline_s)), deadline_s))

    def _exactly(self, count: int, deadline_s: float) -> bytes:
        data = b""
        while len(data) < count:
            if not select.select([self._socket], [], [], deadline_s)[0]:
                raise WorkerDied(f"no answer within {deadline_s:g} s")
            more = self._socket.recv(count - len(data))
            if not more:
                raise WorkerDied(f"exit code {self._process.wait(10)}")
            data += more
        return data
