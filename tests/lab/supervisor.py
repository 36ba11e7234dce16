"""What keeps one host running: the process that starts its container again after a reboot, and stops it when told.

Started as a program (`python -m tests.lab.supervisor`), one for each host, apart from the terminal it was started in.
It ends when the host powers off, when it gets SIGTERM, or when the process named as owner is gone.
"""

import argparse
import signal
import subprocess
import time
from pathlib import Path
from types import FrameType

from tests.lab import cgroups
from tests.lab.processes import ProcessId, container_init

REBOOT = 133  # systemd-nspawn's exit code when the container asked for a reboot
POWER_OFF = signal.SIGRTMIN + 4  # systemd(1): start poweroff.target
POWER_OFF_PATIENCE_S = 20


class Supervisor:
    """One host's container, boot after boot.

    `start` is the command that boots it, `owner` the process without which the host has no reason to run.
    """

    def __init__(self, start: list[str], owner: ProcessId | None) -> None:
        self._start = start
        self._owner = owner
        self._stopping = False

    def stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def run(self) -> int:
        """Boot until the host ends by itself or is stopped; return the container's last exit code."""
        while True:
            code = self._one_boot()
            if self._stopping or code != REBOOT:
                return code

    def _one_boot(self) -> int:
        with subprocess.Popen([*clock_from_zero(), *self._start], stdin=subprocess.DEVNULL) as process:
            asked_at: float | None = None
            while True:
                try:
                    return process.wait(timeout=0.2)
                except subprocess.TimeoutExpired:
                    self._stopping = self._stopping or (self._owner is not None and not self._owner.is_alive())
                # Killing systemd-nspawn would leave the container running as an orphan, so its PID 1 is asked, and
                # as a last resort killed, which ends every process of the container with it.
                if self._stopping and (init := container_init(process.pid)):
                    if asked_at is None:
                        asked_at = time.monotonic()
                        init.send(POWER_OFF)
                    elif time.monotonic() - asked_at > POWER_OFF_PATIENCE_S:
                        init.send(signal.SIGKILL)


def clock_from_zero() -> list[str]:
    """The prefix that runs a command in a time namespace where the machine has just booted."""
    since_boot = int(time.clock_gettime(time.CLOCK_BOOTTIME))
    monotonic = int(time.clock_gettime(time.CLOCK_MONOTONIC))
    return ["unshare", "--time", "--fork", "--boottime", str(-since_boot), "--monotonic", str(-monotonic)]


def main() -> int:
    parser = argparse.ArgumentParser(description="Keep one test host running.")
    parser.add_argument("--group", action="append", default=[], type=Path, help="control group to run in")
    parser.add_argument("--owner", type=ProcessId.parse, help="PID:START of the process to end with")
    parser.add_argument("start", nargs="+", help="command that boots the host")
    arguments = parser.parse_args()
    cgroups.enter(arguments.group)
    supervisor = Supervisor(arguments.start, arguments.owner)
    signal.signal(signal.SIGTERM, supervisor.stop)
    return supervisor.run()


if __name__ == "__main__":
    raise SystemExit(main())
