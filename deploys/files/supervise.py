"""Keeps one program running where there is no service manager. Standard library only; runs on the host's own Python.

    supervise.py start  --pid-file P --log L [--stop-timeout S] [--user U] -- PROGRAM ARGS...
    supervise.py stop   --pid-file P [--stop-timeout S]
    supervise.py status --pid-file P

`start` returns once the supervisor holds its lock. It starts the program again after a crash, waiting 1 s, 2 s, 4 s
... 60 s; a minute of running resets the wait. Exit status 0 of the program ends the supervisor. SIGTERM is passed on; a
program still there after the stop timeout is killed with its process group. The program dies with its supervisor.
A log of more than 32 MiB is moved to LOG.1, so that both take twice that at most.
"""

import argparse
import ctypes
import fcntl
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FIRST_WAIT_S, LONGEST_WAIT_S, HEALTHY_AFTER_S = 1.0, 60.0, 60.0
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
PR_SET_PDEATHSIG = 1
LOG_LIMIT_BYTES = int(os.environ.get("LIVEFLEET_LOG_LIMIT", str(32 * 1024 * 1024)))
LOOK_S = float(os.environ.get("LIVEFLEET_LOG_LOOK_S", "60"))


def main() -> int:
    """One action; the exit status is the answer (status: 0 running, 3 stopped)."""
    parser = argparse.ArgumentParser(description="Keep one program running.")
    parser.add_argument("action", choices=("start", "stop", "status"))
    parser.add_argument("--pid-file", type=Path, required=True)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--stop-timeout", type=float, default=60.0)
    parser.add_argument("--user")
    ours, _, program = "\0".join(sys.argv[1:]).partition("\0--\0")  # argparse mixes the two up
    options = parser.parse_args(ours.split("\0"))
    options.program = program.split("\0")
    if options.action == "status":
        pid = running_pid(options.pid_file)
        print("running" if pid else "stopped")
        return 0 if pid else 3
    if options.action == "stop":
        return stop(options.pid_file, options.stop_timeout)
    return start(options)


def running_pid(pid_file: Path) -> int | None:
    """The supervisor's pid while it holds its lock: a stale file or a reused pid does not fool it."""
    try:
        with pid_file.open("r+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(handle.read() or "0") or None
    except FileNotFoundError:
        pass
    return None


def stop(pid_file: Path, timeout_s: float) -> int:
    """Ask the supervisor to end, and wait until it has."""
    pid = running_pid(pid_file)
    if pid is None:
        return 0
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s + 15
    while running_pid(pid_file) is not None:
        if time.monotonic() > deadline:
            print(f"supervisor {pid} did not stop within {timeout_s + 15:g} s", file=sys.stderr)
            return 1
        time.sleep(0.1)
    return 0


def start(options: argparse.Namespace) -> int:
    """Leave a supervisor behind, detached from this terminal and session."""
    if running_pid(options.pid_file) is not None:
        return 0
    options.pid_file.parent.mkdir(parents=True, exist_ok=True)
    rotate(options.log)
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        with os.fdopen(reading) as pipe:
            said = pipe.read()
        if said != "ok":
            print(said or "the supervisor ended at its start", file=sys.stderr)
            return 1
        return 0
    os.close(reading)
    os.setsid()
    if os.fork():
        os._exit(0)
    supervise(options, writing)
    return 0


def supervise(options: argparse.Namespace, tell: int) -> None:
    """In the grandchild: take the lock, let go of everything inherited, keep the program running."""
    lock = os.open(options.pid_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os._exit(0)
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    log = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.write(tell, b"ok")
    os.closerange(3, lock)
    os.closerange(lock + 1, 256)
    Supervisor(options).run()
    os._exit(0)


def rotate(log: Path) -> None:
    """Keep the last piece of a log that has grown too long beside it, and begin again.

    The program goes on writing to the same file (it was opened for appending): what it writes between the copy and the
    cut is lost, a line or two in 32 MiB.
    """
    try:
        if log.stat().st_size > LOG_LIMIT_BYTES:
            shutil.copy(log, log.with_name(f"{log.name}.1"))
            os.truncate(log, 0)
    except OSError as error:
        print(f"{log} cannot be rotated: {error}", file=sys.stderr)


class Supervisor:
    """The one program, and the wish to stop it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.child: subprocess.Popen[bytes] | None = None
        self.stopping = False

    def run(self) -> None:
        """Until the program ends well or a stop is wanted."""
        # Not handled but waited for: a signal between two checks cannot be missed.
        wanted = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
        signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        wait_s = FIRST_WAIT_S
        while not self.stopping:
            began = time.monotonic()
            self.child = self.spawn()
            status = self.attend(self.child)
            if self.stopping or status == 0:
                return
            ran_s = time.monotonic() - began
            wait_s = FIRST_WAIT_S if ran_s > HEALTHY_AFTER_S else wait_s
            self.say(f"program ended with status {status} after {ran_s:.1f} s; again in {wait_s:g} s")
            self.pause(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def spawn(self) -> "subprocess.Popen[bytes]":
        """The program in a session of its own, with few of the variables that this process has."""
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        account = pwd.getpwnam(self.options.user) if self.options.user else pwd.getpwuid(os.getuid())
        environment |= {"HOME": account.pw_dir, "USER": account.pw_name, "PYTHONUNBUFFERED": "1"}
        identity: dict[str, Any] = (
            {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if self.options.user else {}
        )
        return subprocess.Popen(
            self.options.program,
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=prepare_child,  # noqa: PLW1509 -- there is one thread
            **identity,
        )

    def attend(self, child: "subprocess.Popen[bytes]") -> int:
        """Until the program has ended; a wish to stop is passed on, and enforced after the stop timeout."""
        deadline = None
        while child.poll() is None:
            left = LOOK_S if deadline is None else max(deadline - time.monotonic(), 0.0)
            rotate(self.options.log)
            info = signal.sigtimedwait({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}, left)
            if info is None and deadline is not None:
                self.say(f"still there {self.options.stop_timeout:g} s after SIGTERM: killed")
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            elif info is not None and info.si_signo != signal.SIGCHLD and deadline is None:
                self.stopping = True
                deadline = time.monotonic() + self.options.stop_timeout
                child.send_signal(signal.SIGTERM)
        return child.returncode

    def pause(self, seconds: float) -> None:
        """Wait before the next try, unless a stop is wanted."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self.stopping:
            info = signal.sigtimedwait({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}, left)
            self.stopping = info is not None and info.si_signo != signal.SIGCHLD

    def say(self, text: str) -> None:
        """One line beside the program's own."""
        line = {"ts": round(time.time(), 3), "level": "warning", "event": "supervisor", "message": text}
        sys.stderr.write(json.dumps(line) + "\n")
        sys.stderr.flush()


def prepare_child() -> None:
    """In the child before it becomes the program: unblock signals, and end when the supervisor does."""
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
