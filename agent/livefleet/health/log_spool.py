"""Lines that wait to be shipped: on the disk, in files, up to a bound beyond which the oldest go."""

import json
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["LogSpool", "SpooledLine"]

_FILE_BYTES: Final = 256 << 10
_LINE_BYTES: Final = 64 << 10  # longer ones are cut: one line must not push all others out
_SUFFIX: Final = ".lines"


@dataclass(frozen=True, slots=True)
class SpooledLine:
    """One line of the log."""

    at_ns: int  # Unix time
    level: str
    text: str  # JSON


class LogSpool:
    """A bounded queue on the disk. `add` may be called on any thread; the rest on one.

    What was there when the process before ended is there again. `folder` is the spool's own.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = max(limit, 2 * _FILE_BYTES)
        self._lock = threading.Lock()
        with suppress(OSError):  # lines are then counted as dropped, and the node works
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sizes: deque[tuple[Path, int]] = deque(
            (path, path.stat().st_size) for path in sorted(folder.glob(f"*{_SUFFIX}"))
        )
        self._number = 1 + max((int(path.stem) for path, _ in self._sizes if path.stem.isdigit()), default=0)
        self._waiting = sum(size for _, size in self._sizes)
        self._open_size = 0
        self.dropped = 0  # lines, since the start

    @property
    def waiting_bytes(self) -> int:
        """Size of all that waits."""
        return self._waiting + self._open_size

    def add(self, line: SpooledLine) -> None:
        """Keep it. What the disk does not take is counted as dropped: a log must not stop what it tells of."""
        text = line.text if len(line.text) <= _LINE_BYTES else f"{line.text[:_LINE_BYTES]}…"
        data = json.dumps([line.at_ns, line.level, text], ensure_ascii=False).encode() + b"\n"
        with self._lock:
            try:
                with self._current().open("ab") as file:
                    file.write(data)
            except OSError:
                self.dropped += 1
                return
            self._open_size += len(data)
            if self._open_size >= _FILE_BYTES:
                self._close_current()
            while self.waiting_bytes > self._limit and self._sizes:
                self._drop_oldest()

    def oldest(self) -> tuple[Path, list[SpooledLine]] | None:
        """The file to ship next and its lines; None when nothing waits. `done` takes it away."""
        with self._lock:
            if not self._sizes and self._open_size:
                self._close_current()
            if not self._sizes:
                return None
            path = self._sizes[0][0]
        return path, _lines_of(path)

    def done(self, path: Path) -> None:
        """It has been shipped, or nobody will ever take it."""
        with self._lock:
            if self._sizes and self._sizes[0][0] == path:
                self._waiting -= self._sizes.popleft()[1]
            path.unlink(missing_ok=True)

    def _current(self) -> Path:
        return self._folder / f"{self._number:012}{_SUFFIX}"

    def _close_current(self) -> None:
        self._sizes.append((self._current(), self._open_size))
        self._waiting += self._open_size
        self._open_size = 0
        self._number += 1

    def _drop_oldest(self) -> None:
        path, size = self._sizes.popleft()
        self._waiting -= size
        self.dropped += len(_lines_of(path))
        path.unlink(missing_ok=True)


def _lines_of(path: Path) -> list[SpooledLine]:
    """Its lines; one that was cut off when the machine went down is left out."""
    try:
        data = path.read_bytes()
    except OSError:
        return []
    found = []
    for raw in data.splitlines():
        try:
            at_ns, level, text = json.loads(raw)
        except ValueError:
            continue
        found.append(SpooledLine(at_ns, level, text))
    return found
