"""Runs steps' commands in a tree, in namespaces of their own: nothing stays mounted, nothing keeps running."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, assert_never

from deploys.outcome import Command, Reboot, Shell, Upload
from livefleet.kernel import LivefleetError, OutsideWorld

__all__ = ["Chroot", "run_tool"]

_ENTER: Final = """
mount -t proc proc "$1/proc"
mount -t tmpfs -o mode=755 tmpfs "$1/run"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
mkdir -p "$1/run/systemd/resolve" "$1/run/lock"
cp /etc/resolv.conf "$1/run/systemd/resolve/stub-resolv.conf" 2>/dev/null || :
exec chroot "$1" sh -c "$2"
"""
_PROXIES: Final = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_TOLD: Final = 3000  # characters of a failure


class Chroot:
    """A tree, and the environment of all that runs in it. Needs root."""

    def __init__(self, root: Path, epoch: int) -> None:
        self.root = root
        self.epoch = epoch
        self._environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "DEBIAN_FRONTEND": "noninteractive",
            "SYSTEMD_OFFLINE": "1",  # systemctl only makes links
            "SOURCE_DATE_EPOCH": str(epoch),
            "PYTHONHASHSEED": "0",  # sets in compiled files have one order
            "PYC_INVALIDATION_MODE": "UNCHECKED_HASH",  # sources get other times at the end
            "UV_NO_INSTALLER_METADATA": "1",  # it tells when a wheel was made
            **{name: os.environ[name] for name in _PROXIES if name in os.environ},
        }

    def perform(self, what: str, commands: Sequence[Command]) -> None:
        """A step's commands, in order. Raises OutsideWorld with the last words of one that fails."""
        for command in commands:
            match command:
                case Shell(text=text, stdin=stdin, timeout_s=timeout_s):
                    self.run(what, text, stdin="".join(f"{line}\n" for line in stdin), timeout_s=timeout_s)
                case Upload(source=source, dest=dest):
                    target = self.root / dest.lstrip("/")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, target)
                case Reboot():
                    raise LivefleetError(f"{what} wants a reboot, and nothing runs in an image")
                case _:
                    assert_never(command)

    def run(self, what: str, text: str, *, stdin: str = "", timeout_s: float = 900) -> str:
        """Shell text in the tree; what it printed."""
        words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-eu", "-c", _ENTER, "sh"]
        return run_tool(
            [*words, str(self.root), text], what, environment=self._environment, stdin=stdin, timeout_s=timeout_s
        )


def run_tool(
    words: Sequence[str], what: str, *, environment: Mapping[str, str], stdin: str = "", timeout_s: float = 1800
) -> str:
    """A program to its end; its stdout. Raises OutsideWorld with its last words."""
    try:
        done = subprocess.run(
            list(words),
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=dict(environment),
            check=False,
        )
    except FileNotFoundError as error:
        raise OutsideWorld(f"{what}: {words[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise OutsideWorld(f"{what}: {words[0]} did not end within {timeout_s:g} s") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-_TOLD:]
        raise OutsideWorld(f"{what} failed ({words[0]} ended with {done.returncode}):\n{said}")
    return done.stdout
