"""A PostgreSQL server of the tests' own: its own folder, a loopback port, a made-up password."""

import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.processes import ProcessId, descendants

__all__ = ["PostgresServer", "a_postgres", "binaries"]

_START_S = 30.0
_SETTINGS = {
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "log_min_messages": "fatal",
}


def binaries() -> Path:
    """The folder of the newest server's programs; the test fails where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    if (elsewhere := shutil.which("initdb")) is not None:
        return Path(elsewhere).parent
    pytest.fail("no PostgreSQL server on this machine: apt-get install postgresql")


class PostgresServer:
    """One server. Every commit is flushed, as on an operator's machine."""

    def __init__(self, folder: Path) -> None:
        self.password = secrets.token_hex(16)
        self.port = _free_port()
        self._bin = binaries()
        self._folder = folder
        self._as_user = _unprivileged()
        self._names = itertools.count(1)
        self._used: list[str] = []
        self._free: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Lay the cluster out."""
        if self._as_user:
            shutil.chown(self._folder, "postgres", "postgres")
        password = self._folder / "password"
        password.write_text(self.password)
        if self._as_user:
            shutil.chown(password, "postgres")
        subprocess.run(
            [
                *self._as_user,
                *(self._bin / "initdb", "--no-sync", "--username=livefleet", "--auth=scram-sha-256"),
                *(f"--pwfile={password}", "--encoding=UTF8", "--locale=C", "--no-instructions", self._data),
            ],
            check=True,
            capture_output=True,
        )

    def start(self, **settings: str) -> None:
        """Start it and wait until it answers."""
        options = [f"--{name}={value}" for name, value in {**_SETTINGS, **settings, "port": str(self.port)}.items()]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_user, self._bin / "postgres", "-D", self._data, *options],
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_S
        while self.sql("SELECT 1", check=False) != "1":
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"PostgreSQL did not start:\n{(self._folder / 'log').read_text()[-3000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """kill -9 of the server and all its children at once: as if the machine had stopped, less the disk."""
        assert self._process is not None
        family = [ProcessId.of(pid) for pid in (self._process.pid, *descendants(self._process.pid))]
        for process in filter(None, family):
            process.send(signal.SIGKILL)
        for process in filter(None, family):
            process.wait_gone(10)
        self._process.wait(10)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Every process of it stands still while the block runs; connections stay open."""
        assert self._process is not None
        family = [ProcessId.of(pid) for pid in (self._process.pid, *descendants(self._process.pid))]
        try:
            for process in filter(None, family):
                process.send(signal.SIGSTOP)
            yield
        finally:
            for process in filter(None, family):
                process.send(signal.SIGCONT)

    def stop(self) -> None:
        """End it at once; what it holds is not needed any more."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGQUIT)  # without a checkpoint
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    def database(self) -> str:
        """An empty database; its URL."""
        if self._free:
            name = self._free.pop()
            self.sql("DROP SCHEMA IF EXISTS livefleet CASCADE", database=name)  # 20 times as quick as a new one
        else:
            name = f"test{next(self._names)}"
            self.sql(f"CREATE DATABASE {name}")
        self._used.append(name)
        return self.url(name)

    def take_back(self) -> None:
        """The databases that were given are not used any more."""
        self._free += self._used
        self._used.clear()

    def url(self, database: str, *, user: str = "livefleet", password: str | None = None) -> str:
        """How to reach a database of it."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def sql(self, statement: str, *, database: str = "postgres", check: bool = True) -> str:
        """Run a statement as the owner; its first column, a line a row."""
        done = subprocess.run(
            [self._bin / "psql", "--no-psqlrc", "-Atq", "-v", "ON_ERROR_STOP=1", self.url(database), "-c", statement],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    @property
    def _data(self) -> Path:
        return self._folder / "data"


@contextmanager
def a_postgres(**settings: str) -> Iterator[PostgresServer]:
    """A running server; nothing of it is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="livefleet-postgres-") as folder:
        server = PostgresServer(Path(folder))
        server.make()
        server.start(**settings)
        try:
            yield server
        finally:
            server.stop()


def _unprivileged() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
