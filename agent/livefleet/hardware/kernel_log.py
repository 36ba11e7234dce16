"""The driver's reports in the kernel log, back to the machine's start: NVML tells none that came before it was asked.

Read by a child process, `journalctl`, since journald hands the kernel log to its group `systemd-journal` while the
kernel itself wants a capability for it.
"""

import asyncio
import contextlib
import json
import logging
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from livefleet.hardware.nvml_ask import printable
from livefleet.hardware.xids import slot_of

__all__ = ["DriverLoad", "KernelLog", "KernelXid", "LogAccess", "parse_entry", "parse_xid"]

log = logging.getLogger(__name__)

JOURNALCTL: Final = (
    "journalctl",
    "--dmesg",
    "--grep=NVRM: (Xid|loading NVIDIA)",
    "--lines=1000",
    "--output=json",
    "--output-fields=MESSAGE",
)
"""Reports of this boot, the latest thousand; `--follow` comes after."""

_LOADED = "NVRM: loading NVIDIA"
_XID = re.compile(r"NVRM: Xid \((?:PCI:)?([0-9A-Fa-f:.]+)[^)]{0,64}\): (\d{1,9})\b(?:, )?(.*)", re.DOTALL)
_LINE_LIMIT = 1 << 16  # bytes
_BURST = 500  # lines, before a second's rest
_MOST_TEXT = 200
_AGAIN_S = 15.0
_NOT_PERMITTED_AGAIN_S = 600.0
_NO_PERMISSION = ("insufficient permissions", "not seeing messages from other users", "Permission denied")
_NO_JOURNAL = "No journal files were found"


class LogAccess(StrEnum):
    """Whether the kernel log is read."""

    NOT_BEGUN = "NotBegun"
    READING = "Reading"
    NOT_PERMITTED = "NotPermitted"  # the service's user is not in the group systemd-journal
    NOT_THERE = "NotThere"  # no journalctl on this machine, or no journal
    BROKEN = "Broken"


@dataclass(frozen=True, slots=True)
class KernelXid:
    """One report."""

    order: int  # microseconds since the machine's start; another child reads again what one has read
    at: float  # unix seconds
    bus: str  # as the kernel writes it, e.g. `0000:01:00`
    code: int
    text: str  # process and words, as far as they are told


@dataclass(frozen=True, slots=True)
class DriverLoad:
    """The driver was loaded: what it had reported before is over."""

    order: int  # as of reports
    at: float  # unix seconds


class KernelLog:
    """Follows it until cancelled. One event loop's property."""

    def __init__(self, command: Sequence[str] = JOURNALCTL, *, again_s: float = _AGAIN_S) -> None:
        self._command = command
        self._again_s = again_s  # after it ended by itself
        self._newest = -1  # of what was handed on
        self._ended: LogAccess | None = None
        self.access = LogAccess.NOT_BEGUN
        self.why = ""
        """journalctl's words where it is not read."""

    async def follow(self, take: Callable[[KernelXid | DriverLoad], None]) -> None:
        """Hand on every report, and each load of the driver, once, those since the machine's start first."""
        while True:
            access, why = await self._run(take)
            if access is not self._ended:
                log.info("gpu.kernel_log", extra={"access": access.value, "text": why})
            self.access, self.why, self._ended = access, why, access
            is_final = access in (LogAccess.NOT_PERMITTED, LogAccess.NOT_THERE)
            await asyncio.sleep(_NOT_PERMITTED_AGAIN_S if is_final else self._again_s)

    async def _run(self, take: Callable[[KernelXid | DriverLoad], None]) -> tuple[LogAccess, str]:
        """One child's life: how it ended."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, "--follow", "--no-pager",
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                limit=_LINE_LIMIT, env=os.environ | {"LC_ALL": "C"},
            )  # fmt: skip
        except OSError as error:
            return LogAccess.NOT_THERE, str(error)
        assert process.stdout is not None
        assert process.stderr is not None
        self.access = LogAccess.READING
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._read(process.stdout, take))
                why = await _words(process.stderr)
                if (access := _refusal(why)) is not None:
                    reading.cancel()
                    return access, why
            code = await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()  # what is left in the pipes, so that they close
        return LogAccess.BROKEN, why or f"journalctl ended with {code}"

    async def _read(self, lines: asyncio.StreamReader, take: Callable[[KernelXid | DriverLoad], None]) -> None:
        burst = 0
        while True:
            try:
                line = await lines.readline()
            except ValueError:
                continue  # longer than any report
            if not line:
                return
            found = parse_entry(line)
            if found is not None and found.order > self._newest:
                self._newest = found.order
                take(found)
            burst += 1
            if burst >= _BURST:  # a storm waits in the pipe meanwhile
                burst = 0
                await asyncio.sleep(1)


def parse_entry(line: bytes) -> KernelXid | DriverLoad | None:
    """The report in a line of journald's JSON, or the load of the driver, if there is one."""
    try:
        entry = json.loads(line)
        order, at = int(entry["__MONOTONIC_TIMESTAMP"]), int(entry["__REALTIME_TIMESTAMP"]) / 1e6
        message = _message(entry.get("MESSAGE"))
        found = parse_xid(message)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    if found is not None:
        return KernelXid(order, at, *found)
    return DriverLoad(order, at) if _LOADED in message else None


def parse_xid(message: str) -> tuple[str, int, str] | None:
    """Bus, code and words of a line such as `NVRM: Xid (PCI:0000:01:00): 79, pid=1, name=x, GPU has fallen off`.

    Process id and name may be missing.
    """
    found = _XID.search(message)
    if found is None or slot_of(found[1]) is None:
        return None
    return found[1], int(found[2]), printable(found[3], _MOST_TEXT)


def _message(value: Any) -> str:
    """As journald writes it: a list of bytes where it is no UTF-8, nothing where there is too much of it."""
    if isinstance(value, list):
        return bytes(value).decode(errors="replace")
    return value if isinstance(value, str) else ""


async def _words(stderr: asyncio.StreamReader) -> str:
    """What it complains of, until it ends or says that it may not."""
    said = ""
    while line := await stderr.readline():
        said = printable(f"{said} {line.decode(errors='replace')}", _MOST_TEXT)
        if _refusal(said) is not None:
            break
    return said


def _refusal(words: str) -> LogAccess | None:
    if _NO_JOURNAL in words:
        return LogAccess.NOT_THERE
    return LogAccess.NOT_PERMITTED if any(sign in words for sign in _NO_PERMISSION) else None
