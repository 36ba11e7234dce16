"""One command on a host with its output as it comes: on this machine, or over ssh. Bounded in time, stoppable."""

import os
import select
import shlex
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event
from typing import Protocol

from fabric import Connection
from paramiko import Channel

from livefleet.control.remote import as_user, connected, not_runnable
from livefleet.kernel import OutsideWorld
from livefleet.spec import HostSettings

__all__ = ["Listener", "Session", "run_session"]

_LOOK_S = 0.2
_CHUNK = 65536
_STOPPED = -1


class Listener(Protocol):
    """Hears what a command prints, from one thread."""

    def __call__(self, data: bytes, *, error: bool) -> None:
        """Some bytes of stdout, or of stderr."""
        ...


@dataclass(frozen=True, slots=True)
class Session:
    """What is to be run on a host, as `apply` would run it."""

    words: tuple[str, ...]  # program and arguments; no shell reads them
    stdin: bytes = field(default=b"", repr=False)
    keep_stdin: bool = False  # leave it open, so that the program can tell by its end that nobody listens
    timeout_s: float | None = 60.0  # None: as long as it takes
    as_login_user: bool = False  # without sudo, where that is declared


def run_session(settings: HostSettings, session: Session, listener: Listener, stop: Event) -> int:
    """Run it to its end and return its exit code; -1 once `stop` is set, by another thread.

    Raises OutsideWorld: the host was not reached or was lost, or the command did not end in time.
    """
    if stop.is_set():
        return _STOPPED
    words = list(session.words) if session.as_login_user else as_user(settings, session.words)
    if settings.is_local:
        code = _run_here(words, session, listener, stop)
    else:
        with connected(settings) as connection:
            code = _SshRun(connection, words, session, listener, stop).to_end()
    if code is None:
        raise OutsideWorld(f"`{session.words[0]}` did not end within {session.timeout_s:g} s, and was left")
    return code


def _run_here(words: Sequence[str], session: Session, listener: Listener, stop: Event) -> int | None:
    """None: not in time."""
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(list(words), stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    except OSError as error:
        raise not_runnable(words[0], error) from error
    with process:
        try:
            return _attend(process, session, listener, stop)
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, 9)


def _attend(process: "subprocess.Popen[bytes]", session: Session, listener: Listener, stop: Event) -> int | None:
    until = _deadline(session)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with suppress(BrokenPipeError):
        process.stdin.write(session.stdin)
        process.stdin.flush()
        if not session.keep_stdin:
            process.stdin.close()
    streams = {process.stdout.fileno(): False, process.stderr.fileno(): True}
    while streams or process.poll() is None:
        if stop.is_set():
            return _STOPPED
        if time.monotonic() > until:
            return None
        if not streams:
            time.sleep(_LOOK_S / 10)
            continue
        for number in select.select(list(streams), [], [], _LOOK_S)[0]:
            data = os.read(number, _CHUNK)
            if data:
                listener(data, error=streams[number])
            else:
                del streams[number]
    return process.returncode


class _SshRun:
    """One command over one channel. Sends and reads in turns: else both ends may wait for the other to read."""

    def __init__(
        self, connection: Connection, words: Sequence[str], session: Session, listener: Listener, stop: Event
    ) -> None:
        self._transport = connection.transport
        self._channel: Channel = connection.create_session()
        self._words = words
        self._session = session
        self._listener = listener
        self._stop = stop
        self._left = session.stdin
        self._ended = False  # stdout is at its end

    def to_end(self) -> int | None:
        """The exit code; None: not in time."""
        until = _deadline(self._session)
        with self._channel as channel:
            channel.settimeout(_LOOK_S)
            channel.exec_command(shlex.join(self._words))
            while not (self._ended and channel.exit_status_ready() and not channel.recv_stderr_ready()):
                if self._stop.is_set():
                    return _STOPPED
                if time.monotonic() > until:
                    return None
                if self._ended and not (self._transport and self._transport.is_active()):
                    raise OutsideWorld("the connection was lost while the command ran")
                self._send()
                self._read()
            return int(channel.recv_exit_status())

    def _send(self) -> None:
        channel = self._channel
        if self._left and channel.send_ready():
            try:
                self._left = self._left[channel.send(self._left[:_CHUNK]) :]
            except OSError:  # it ended without reading all
                self._left = b""
        if not self._left and not self._session.keep_stdin and not channel.eof_sent:
            channel.shutdown_write()

    def _read(self) -> None:
        channel = self._channel
        if channel.recv_stderr_ready():
            self._listener(channel.recv_stderr(_CHUNK), error=True)
        if self._ended:
            time.sleep(_LOOK_S / 10)
        elif channel.recv_ready() or not self._left:
            with suppress(TimeoutError):
                data = channel.recv(_CHUNK)
                self._ended = not data
                if data:
                    self._listener(data, error=False)


def _deadline(session: Session) -> float:
    return float("inf") if session.timeout_s is None else time.monotonic() + session.timeout_s
