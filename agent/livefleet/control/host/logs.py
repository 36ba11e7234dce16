"""The agent's log on its host: systemd's journal or the supervisor's file, masked, one JSON line a message.

Lines are `{"t": unix seconds, "m": text}`, and `{"note": text}` for what a reader should know. Following ends when
stdin does. Standard library only, for hosts.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from livefleet.control.host.known import masker_of
from livefleet.control.host.masking import MASK, Masker

__all__ = ["main", "tail_of_file"]

_LOOK_S = 0.3
_TAIL = 16 * 1024 * 1024  # bytes of a file that are looked at
_LONGEST = 64 * 1024  # characters of a message
_PEM_LINES = 200  # after a block's beginning its lines are masked until its end, this many at most


def main(options: dict[str, Any]) -> int:
    """`options`: those of `masker_of`, `root`, `unit`, `file`, `since` (unix seconds or None), `lines`, `follow`."""
    masker, notes = masker_of(options)
    for note in notes:
        _tell({"note": note})
    children: list[subprocess.Popen[bytes]] = []
    if options["follow"]:
        threading.Thread(target=_end_with_stdin, args=(children,), daemon=True).start()
    in_pem = 0
    for at, message in _messages(options, children):
        text = _masked(masker, message)
        if in_pem:
            in_pem = 0 if "-----END" in message else in_pem - 1
            text = MASK
        elif "-----BEGIN" in message and "-----END" not in message:
            in_pem = _PEM_LINES
        _tell({"t": at, "m": text})
    return 0


def _masked(masker: Masker, message: str) -> str:
    """A message of the agent's own stays JSON."""
    if message.startswith("{"):
        try:
            return json.dumps(masker.mask_document(json.loads(message)))[:_LONGEST]
        except ValueError:
            pass
    return masker.mask(message[: 16 * _LONGEST])[:_LONGEST]  # cut afterwards: half a secret is not known


def _messages(options: dict[str, Any], children: list[subprocess.Popen[bytes]]) -> Iterator[tuple[float, str]]:
    if options["root"] == "/" and Path("/run/systemd/system").is_dir():
        return _journal(options, children)
    return _file(options)


def _journal(options: dict[str, Any], children: list[subprocess.Popen[bytes]]) -> Iterator[tuple[float, str]]:
    command = ["journalctl", "--unit", options["unit"], "--output=json", "--no-pager", "--quiet"]
    command += [f"--lines={options['lines']}"]
    command += [f"--since=@{options['since']:.0f}"] if options["since"] is not None else []
    command += ["--follow"] if options["follow"] else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        children.append(process)
        try:
            for line in process.stdout:
                entry = json.loads(line)
                message = entry.get("MESSAGE")
                if isinstance(message, list):  # bytes that are no text
                    message = bytes(message).decode(errors="replace")
                yield int(entry["__REALTIME_TIMESTAMP"]) / 1e6, message or ""
        finally:
            process.terminate()


def _file(options: dict[str, Any]) -> Iterator[tuple[float, str]]:
    path = options["file"]
    if not Path(path).exists():
        _tell({"note": f"no log at {path} yet"})
    else:
        yield from tail_of_file([f"{path}.1", path], options["lines"], options["since"])
    if options["follow"]:
        yield from _stamped(_growth(path))


def tail_of_file(paths: Iterable[str], lines: int, since: float | None) -> list[tuple[float, str]]:
    """The last `lines` of files that continue each other, from `since` on."""
    found: list[str] = []
    for path in paths:
        try:
            with Path(path).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(max(0, size - _TAIL))
                whole = file.read(_TAIL).decode(errors="replace").splitlines()
        except OSError:
            continue
        found += whole[1:] if size > _TAIL else whole
    stamped = [(at, text) for at, text in _stamped(found) if since is None or at >= since]
    return stamped[-lines:]


def _stamped(lines: Iterable[str]) -> Iterator[tuple[float, str]]:
    """A line without a time of its own, as of a traceback, has that of the line before."""
    last = 0.0
    for line in lines:
        last = _time_of(line) or last
        yield last, line


def _time_of(line: str) -> float | None:
    match = re.match(r'\{"ts": ?(?:"([^"]+)"|([0-9.]+))', line)
    if match is None:
        return None
    try:
        if match[2]:
            return float(match[2])
        at = datetime.fromisoformat(match[1])  # always with +00:00: livefleet's own formatter writes it
        return at.timestamp()
    except ValueError:
        return None


def _growth(path: str) -> Iterator[str]:
    """Lines as they are written, over a change of files; from now on."""
    file = None
    inode, rest = 0, b""
    fresh = Path(path).exists()  # what stands there already has been told
    while True:
        try:
            there = Path(path).stat()
        except OSError:
            time.sleep(_LOOK_S)
            continue
        if file is None or there.st_ino != inode or there.st_size < file.tell():
            if file is not None:
                file.close()
            file = Path(path).open("rb")  # noqa: SIM115 -- open until another takes its place
            inode = there.st_ino
            if fresh:
                file.seek(0, os.SEEK_END)
                fresh = False
        data = file.read()
        if not data:
            time.sleep(_LOOK_S)
            continue
        *whole, rest = (rest + data).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)


def _end_with_stdin(children: list[subprocess.Popen[bytes]]) -> None:
    """Nobody listens any more: the connection is gone."""
    while sys.stdin.buffer.read(65536):
        pass
    for child in children:
        child.terminate()
    os._exit(0)


def _tell(line: dict[str, Any]) -> None:
    try:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(0)
