"""All that somebody who helps from afar asks for, read on the host and masked there.

Prints one line: base64 of deflated JSON `{"items": {name: text}, "notes": [...]}`. Every item has its own deadline and
size, and all of them one deadline together: what is slow or broken is told, and hides nothing else. Standard library
only, for hosts.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from livefleet.control.host.known import masker_of, read_text
from livefleet.control.host.logs import tail_of_file
from livefleet.control.host.masking import Masker

__all__ = ["main"]

_LARGEST = 1024 * 1024  # bytes of an item; of longer ones the end is kept
_ALL = 12 * 1024 * 1024  # bytes of all items
_ITEM_S = 15.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Read = Callable[[float], str]  # seconds that are left -> text


def main(options: dict[str, Any]) -> int:
    """`options`: those of the logs, and `admin` (URL of the admin endpoint), `opt`, `run`, `deadline_s`."""
    masker, notes = masker_of(options)
    until = time.monotonic() + options["deadline_s"]
    items: dict[str, str] = {}
    size = 0
    for name, read in _items(options):
        left = until - time.monotonic()
        if left <= 1 or size > _ALL:
            notes.append(f"{name}: left out, {'the time is up' if left <= 1 else 'the bundle is full'}")
            continue
        try:
            text = _masked(masker, name, read(min(left, _ITEM_S)))
        except Exception as error:  # noqa: BLE001 -- one broken item must not hide the others
            notes.append(masker.mask(f"{name}: {error}"))
            continue
        items[name] = text if len(text) <= _LARGEST else f"(the beginning is left out)\n{text[-_LARGEST:]}"
        size += len(items[name])
    document = json.dumps({"items": items, "notes": notes}).encode()
    print(base64.b64encode(zlib.compress(document)).decode())
    return 0


def _masked(masker: Masker, name: str, text: str) -> str:
    if name.endswith(".json"):
        with suppress(ValueError):
            return json.dumps(masker.mask_document(json.loads(text)), indent=1)
    return masker.mask(text)


def _items(options: dict[str, Any]) -> Iterator[tuple[str, Read]]:
    """The most telling first: a deadline cuts the rest."""
    admin, unit, opt = options["admin"], options["unit"], shlex.quote(options["opt"])
    state, run = shlex.quote(options["state"]), shlex.quote(options["run"])
    journal = options["root"] == "/" and Path("/run/systemd/system").is_dir()
    yield "status.json", lambda left: _asked(f"{admin}/status", left)
    yield "readyz.json", lambda left: _asked(f"{admin}/readyz", left)
    yield "node.yaml", lambda _: read_text(options["node_yaml"], _LARGEST)
    if journal:
        yield "agent.log", _command(f"journalctl --unit {unit} --no-pager --output=short-iso-precise --lines=4000")
        yield (
            "unit.txt",
            _command(f"systemctl status {unit} --no-pager --lines=0; systemctl show {unit}; systemctl cat {unit}"),
        )
        yield "units-failed.txt", _command("systemctl --failed --no-pager; systemd-analyze critical-chain --no-pager")
    else:
        log = options["file"]
        yield "agent.log", lambda _: "\n".join(line for _, line in tail_of_file([f"{log}.1", log], 4000, None))
        yield "unit.txt", _command(f"python3 {opt}/supervise.py status --pid-file {run}/supervisor.pid")
    yield "metrics.txt", lambda left: _asked(f"{admin}/metrics", left)
    yield (
        "gpu.txt",
        _command(
            "nvidia-smi; nvidia-smi --query; cat /proc/driver/nvidia/version; ls -l /dev/nvidia*; lspci -nn -d 10de:"
        ),
    )
    yield (
        "kernel.txt",
        _command(
            "dmesg --ctime 2>/dev/null || journalctl --dmesg --no-pager --lines=2000",
            "| grep -iE 'xid|nvrm|nvidia|nouveau|oom|out of memory|segfault|i/o error|ext4|link is' | tail -n 500",
        ),
    )
    yield (
        "versions.txt",
        _command(
            f"uname -a; cat /etc/os-release; python3 --version; nginx -v; ls -l {opt} {opt}/releases"
            f"; cat {opt}/started; {opt}/current/venv/bin/livefleet --version"
        ),
    )
    yield (
        "packages.txt",
        _command(
            "dpkg-query -W -f '${Status} ${Package} ${Version}\\n' | grep -E"
            " 'nvidia|cuda|nginx|python3|linux-image|linux-headers|libc6|openssl|systemd|unattended'; apt-mark showhold"
        ),
    )
    yield "agent-packages.txt", _command(f"ls {opt}/current/venv/lib/python3*/site-packages | grep dist-info")
    yield "applies.txt", lambda _: _applies(options["opt"], options["state"])
    yield "disk.txt", _command(f"df -h; df -i; lsblk; du -sh {opt} {state}; mount | grep -v cgroup")
    yield "network.txt", _command("ss -tulnp; ip -brief address; ip route; ip -6 route; nft list ruleset; iptables -S")
    yield "clock.txt", _command("date --utc --iso-8601=ns; timedatectl; timedatectl timesync-status; chronyc tracking")
    yield (
        "load.txt",
        _command("uptime; free -m; nproc; cat /proc/pressure/*; ulimit -a"),
    )
    yield "processes.txt", _command("ps -eo pid,ppid,user,pcpu,rss,etimes,stat,args --sort=-rss | head -n 60")


def _command(text: str, then: str = "") -> Read:
    """Each part before a `;` runs by itself and is told with its own text and end, unless `then` takes all of it."""
    parts = [f"( {text} ) {then}"] if then else [part.strip() for part in text.split(";")]

    def read(left: float) -> str:
        until = time.monotonic() + left
        return "\n".join(f"$ {part}\n{_run(part, max(1.0, until - time.monotonic()))}" for part in parts)

    return read


def _run(text: str, timeout_s: float) -> str:
    environment = {"PATH": _PATH, "LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": "", "HOME": os.environ.get("HOME", "/")}
    try:
        with subprocess.Popen(
            ["sh", "-c", text],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                output, _ = process.communicate(timeout=5)
                output += f"\n(stopped after {timeout_s:.0f} s)".encode()
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"({error})\n"
    if len(output) > 4 * _LARGEST:
        output = output[-4 * _LARGEST :].partition(b"\n")[2]  # whole lines, so that no secret is cut in two
    end = "" if process.returncode == 0 else f"(ended with {process.returncode})\n"
    return output.decode(errors="replace") + end


def _asked(url: str, left: float) -> str:
    try:
        with urllib.request.urlopen(url, timeout=left) as reply:  # noqa: S310 -- http, as told
            body: bytes = reply.read(4 * _LARGEST)
    except urllib.error.HTTPError as error:
        body = error.read(4 * _LARGEST)  # /readyz says 503 with its reasons
    return body.decode(errors="replace")


def _applies(opt: str, state: str) -> str:
    """What was done to this host and when: releases by age, and whatever journals stand beside them."""
    told = []
    for folder in (Path(opt), Path(opt, "releases"), Path(state)):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(path.lstat().st_mtime))
            told.append(f"{at} {path}{f' -> {path.readlink()}' if path.is_symlink() else ''}")
            if path.is_file() and "journal" in path.name:
                told.append(read_text(str(path), _LARGEST))
    return "\n".join(told)
