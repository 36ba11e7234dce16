"""Processes told apart for certain: a pid with its start time, and the lab's mark in the environment."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MARK", "ProcessId", "container_init", "descendants", "is_container_init", "marked"]

MARK = "LIVEFLEET_LAB"
"""Environment variable of every supervisor and every host's PID 1: `<lab>/<host>`."""


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A pid that cannot be mistaken for a later process under the same number."""

    pid: int
    start: int  # clock ticks after boot, /proc/PID/stat field 22

    @classmethod
    def of(cls, pid: int) -> "ProcessId | None":
        """The living process under this pid, None when there is none (a zombie is none)."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    @classmethod
    def parse(cls, text: str) -> "ProcessId":
        """Read what `str` wrote."""
        pid, start = text.split(":")
        return cls(int(pid), int(start))

    def __str__(self) -> str:
        return f"{self.pid}:{self.start}"

    def is_alive(self) -> bool:
        return ProcessId.of(self.pid) == self

    def send(self, signal_number: int) -> None:
        """Send a signal, unless the process is gone."""
        if self.is_alive():
            try:
                os.kill(self.pid, signal_number)
            except ProcessLookupError:
                return

    def wait_gone(self, timeout_s: float) -> bool:
        """Whether the process is gone within the time."""
        deadline = time.monotonic() + timeout_s
        while self.is_alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def end(self, patience_s: float) -> None:
        """SIGTERM, a bounded wait, SIGKILL."""
        self.send(signal.SIGTERM)
        if not self.wait_gone(patience_s):
            self.send(signal.SIGKILL)
            self.wait_gone(5)


def marked() -> Iterator[tuple[ProcessId, str, str]]:
    """Every living process that carries the mark, with the names of its lab and its host."""
    for pid in _pids():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:  # gone meanwhile, a kernel thread, or hidden: not one of ours
            continue
        value = next((e.partition(b"=")[2].decode() for e in environment if e.startswith(f"{MARK}=".encode())), None)
        process = ProcessId.of(pid)
        if value and process:
            lab, _, host = value.partition("/")
            yield process, lab, host


def descendants(pid: int) -> Iterator[int]:
    """The children of a process and theirs, parents first."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in children:
        yield child
        yield from descendants(child)


def container_init(above: int) -> ProcessId | None:
    """PID 1 of the container that runs below a process of ours, None while there is none."""
    inits = (ProcessId.of(pid) for pid in descendants(above) if is_container_init(pid))
    return next((init for init in inits if init), None)


def is_container_init(pid: int) -> bool:
    """Whether a process of this machine is PID 1 of a PID namespace of its own."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return False
    namespaces = next(line.split()[1:] for line in lines if line.startswith("NSpid:"))
    return len(namespaces) > 1 and namespaces[-1] == "1"


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
