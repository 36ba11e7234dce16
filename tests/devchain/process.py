"""The anvil process: started, recognised again by pid and start time, ended; nothing else ever is."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from livefleet.kernel import BadInput, OutsideWorld
from tests.devchain.accounts import MNEMONIC

__all__ = ["Process", "start", "stop"]

_FILE = "anvil.json"
_STATES = "states"


@dataclass(frozen=True, slots=True)
class Process:
    """A running anvil."""

    pid: int
    started: str  # the kernel's start tick: a pid alone may have been given to another process since
    rpc: str
    chain_id: int

    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        return _start_tick(self.pid) == self.started

    def write(self, folder: Path) -> None:
        """Remember it in its folder."""
        (folder / _FILE).write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> "Process | None":
        """The process that was started in a folder, None where none is remembered."""
        with contextlib.suppress(FileNotFoundError):
            return cls(**json.loads((folder / _FILE).read_text()))
        return None

    @staticmethod
    def forget(folder: Path) -> None:
        """Remember none any more; what it kept goes too."""
        (folder / _FILE).unlink(missing_ok=True)
        shutil.rmtree(folder / _STATES, ignore_errors=True)


def start(
    anvil: Path, folder: Path, *, port: int, chain_id: int, block_time_s: float, host: str = "127.0.0.1"
) -> Process:
    """Start anvil on `host`, loopback unless said, and wait until it answers. Port 0: a free one.

    Raises BadInput for a taken port, OutsideWorld with the log where anvil does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    previous = Process.read(folder)
    if previous is not None:
        stop(previous)  # left by a start that was cut off before it deployed
    log = folder / "anvil.log"
    port = _claim(host, port)
    pace = ["--block-time", f"{block_time_s:g}", "--mixed-mining"] if block_time_s else []
    with log.open("wb") as out:
        child = subprocess.Popen(
            [
                *(str(anvil), "--host", host, "--port", str(port), "--chain-id", str(chain_id)),
                *("--mnemonic", MNEMONIC, "--accounts", "10", "--balance", "1000000", "--quiet", *pace),
                # States of old blocks: bounded, and in the chain's folder, not kept in the user's home for ever.
                *("--cache-path", str(folder / _STATES), "--max-persisted-states", "2000"),
                # Prices as on Arbitrum One (about 0.01 gwei), not the simulator's 2 gwei: face values follow.
                *("--block-base-fee-per-gas", "10000000", "--disable-min-priority-fee"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "NO_COLOR": "1"},
        )
    if not _answers(child, host, port):
        child.kill()
        child.wait()
        raise OutsideWorld(f"anvil did not start on port {port}: {log.read_text(errors='replace').strip()[-1000:]}")
    tick = _start_tick(child.pid)
    assert tick is not None
    child.returncode = 0  # it outlives this object on purpose; `stop` reaps it
    process = Process(pid=child.pid, started=tick, rpc=f"http://{host}:{port}", chain_id=chain_id)
    process.write(folder)
    return process


def stop(process: Process) -> bool:
    """End exactly that process; False where it had ended before."""
    if not process.is_alive():
        return False
    os.kill(process.pid, signal.SIGTERM)
    for _ in range(100):
        if not process.is_alive():
            return True
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    while process.is_alive():
        time.sleep(0.05)
    return True


def _answers(child: "subprocess.Popen[bytes]", host: str, port: int) -> bool:
    for _ in range(300):
        if child.poll() is not None:
            return False
        with contextlib.suppress(ConnectionError):
            socket.create_connection((host, port), timeout=1).close()
            return child.poll() is None
        time.sleep(0.1)
    return False


def _start_tick(pid: int) -> str | None:
    """Field 22 of /proc/PID/stat; None for a process that is gone or only waits to be reaped."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # ours to reap where this process started it
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def _claim(host: str, port: int) -> int:
    """The port itself where it is free, a free one for 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BadInput(f"port {port} is taken: {error.strerror}; give another, or 0 for any") from error
        return int(probe.getsockname()[1])
