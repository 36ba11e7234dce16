"""The agent as systemd keeps it, and as its own self-test sees the machine."""

import json
import logging
import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from livefleet.enrol.host_name import name_files
from livefleet.enrol.machine import Finding
from livefleet.kernel import OutsideWorld

__all__ = ["SystemdAgent", "UnmanagedAgent", "self_test"]

log = logging.getLogger(__name__)

_UNIT: Final = "livefleet.service"
_GPUS: Final = Path("/dev/nvidiactl")


class SystemdAgent:
    """The unit `livefleet.service` of this machine. `user`: whom the self-test runs as; None: this process's own."""

    def __init__(
        self, user: str | None, root: Path = Path("/"), *, check_s: float = 120.0, start_s: float = 180.0
    ) -> None:
        self._user = user
        self._root = root
        self._check_s = check_s
        self._start_s = start_s

    def name_machine(self, name: str) -> None:
        """See AgentService."""
        if not name_files(self._root, name):
            return
        try:
            socket.sethostname(name)
        except OSError as error:  # in a container; the files say it at the next boot
            log.warning("first_boot.not_named", extra={"error": str(error)})

    def check(self, node_yaml: Path) -> tuple[Finding, ...]:
        """See AgentService."""
        return self_test(node_yaml, self._user, self._check_s)

    def start(self) -> str:
        """See AgentService."""
        self._systemctl("enable", "--quiet", _UNIT)
        self._systemctl("start", _UNIT)
        return f"{_UNIT} runs"

    def _systemctl(self, *words: str) -> None:
        told = f"systemctl {' '.join(words)}"
        try:
            done = subprocess.run(
                ["systemctl", *words], capture_output=True, text=True, timeout=self._start_s, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise OutsideWorld(f"`{told}` did not work: {error}") from error
        if done.returncode:
            why = " ".join(done.stderr.split())[:500] or f"exit code {done.returncode}"
            raise OutsideWorld(f"`{told}` did not work: {why}; see `journalctl --unit {_UNIT}`")


class UnmanagedAgent:
    """For a tree that is not this machine's own: tested, and started by whoever keeps it."""

    def __init__(self, *, check_s: float = 120.0) -> None:
        self._check_s = check_s

    def name_machine(self, name: str) -> None:
        """The machine has a name of its own."""

    def check(self, node_yaml: Path) -> tuple[Finding, ...]:
        """See AgentService."""
        return self_test(node_yaml, None, self._check_s)

    def start(self) -> str:
        """See AgentService."""
        return "the agent is not started by first boot, since the tree is not at /"


def _as_user(name: str | None) -> dict[str, Any]:
    """What makes a process that user's, with the groups that its unit gives it: its own, and that of the GPUs."""
    if name is None:
        return {}
    user = pwd.getpwnam(name)
    groups = set(os.getgrouplist(name, user.pw_gid))
    if _GPUS.exists():
        groups.add(_GPUS.stat().st_gid)
    groups.discard(0)
    return {
        "user": user.pw_uid,
        "group": user.pw_gid,
        "extra_groups": sorted(groups),
        "env": os.environ | {"HOME": user.pw_dir},
    }


def self_test(node_yaml: Path, user: str | None, timeout_s: float) -> tuple[Finding, ...]:
    """What `livefleet agent check` finds, in a process of its own; a test that does not end is a finding too."""
    words = [sys.executable, "-m", "livefleet", "agent", "check", "--json", str(node_yaml)]
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            cwd="/",
            **_as_user(user),
        )
        found = json.loads(done.stdout)["findings"]
        return tuple(Finding(str(item["what"]), bool(item["ok"]), str(item["message"])) for item in found)
    except subprocess.TimeoutExpired:
        return (Finding("self-test", good=False, message=f"did not end within {timeout_s:g} s"),)
    except (OSError, KeyError, TypeError, ValueError) as error:
        return (Finding("self-test", good=False, message=f"did not run: {error}"),)
