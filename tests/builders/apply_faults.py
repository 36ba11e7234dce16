"""One real host that is applied to while something breaks, and what it runs and would run after that."""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.builders.deploys import a_checkout
from tests.lab.host import Host
from tests.lab.lab import Lab

STAND_IN = Path(__file__).parents[1] / "component/deploys/stand_in_agent.py"
BIN = Path(sys.executable).parent
_LOOK = """
import glob, json, os, urllib.request
def running():
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        words = open(path, "rb").read().split(b"\\0")
        if b"agent" in words and b"run" in words and b"/opt/livefleet/releases/" in words[0]:
            return words[0].decode().split("/")[4]
    return ""
def asked():
    try:
        with urllib.request.urlopen("http://127.0.0.1:7936/status", timeout=3) as reply:
            return json.load(reply)
    except OSError:
        return {}
yaml = open("/etc/livefleet/node.yaml").read()
print(json.dumps({
    "process": running(), "told": asked().get("digest", ""), "ready": asked().get("ready", False),
    "current": os.path.basename(os.readlink("/opt/livefleet/current")), "written": yaml.split("# ")[2].split()[0],
    "level": "DEBUG" if "log_level: DEBUG" in yaml else "INFO",
    "pending": os.path.exists("/opt/livefleet/switching/run"),
}))
"""


@dataclass(frozen=True)
class Seen:
    """A host after something broke."""

    process: str  # release of the running process
    told: str  # digest of the specification that it runs
    ready: bool
    current: str  # release that would start
    written: str  # digest of the node.yaml on the disk
    level: str  # which node.yaml that is
    pending: bool  # a switch is decided and not finished


@dataclass
class FaultyHost:
    """A host, a fleet file and a checkout that all change together: INFO goes with one release, DEBUG with another."""

    lab: Lab
    folder: Path
    checkout: Path = field(init=False)
    spec: Path = field(init=False)
    name: str = "one"

    def __post_init__(self):
        self.checkout = a_checkout(self.folder / "livefleet")
        self.spec = self.folder / "fleet.yaml"
        (self.folder / "join.txt").write_text("test-only")
        self.declare("INFO", "first")

    @property
    def host(self) -> Host:
        return self.lab.hosts[self.name]

    def declare(self, log_level: str, release: str, *, broken: bool = False):
        """Another release with another node.yaml, and another unit."""
        program = STAND_IN.read_text().replace(
            '    """Answer until SIGTERM', f'    {"raise SystemExit(7)" if broken else ""}\n    """Answer until SIGTERM'
        )
        (self.checkout / "agent/livefleet/cli/agent.py").write_text(f"{program}\n\nRELEASE = {release!r}\n")
        document = {
            "version": 1,
            "name": "test",
            "secrets": {"join": {"file": "join.txt"}},
            "hosts": {
                self.name: {
                    "address": self.host.address,
                    "role": "worker",
                    "worker": {"orchestrator": "127.0.0.1:1", "secret": "join"},
                    "monitoring": {"log_level": log_level},
                    "service": {"stop_timeout_s": 5 if log_level == "INFO" else 6},
                    "ssh": {
                        "user": "root", "key": str(self.lab.key), "known_hosts": str(self.lab.known_hosts),
                        "connect_timeout_s": 5,
                    },
                }
            },
        }  # fmt: skip
        with self.spec.open("w") as file:
            YAML().dump(document, file)

    def command(self, *arguments: str) -> list[str]:
        return [str(BIN / "livefleet"), *arguments, "--fleet", str(self.spec), "--yes", "--json"]

    def apply(self) -> dict[str, Any]:
        done = self.lab.run(self.command("apply"), timeout_s=300, check=False, cwd=self.checkout)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)["hosts"][0]

    def begin(self) -> subprocess.Popen[bytes]:
        return self.lab.spawn(self.command("apply"), log=self.folder / "apply.log", cwd=self.checkout)

    def seen(self) -> Seen:
        return Seen(**json.loads(self.host.run(f"python3 - <<'END'\n{_LOOK}\nEND").stdout))

    def until_ready(self, timeout_s: float = 30) -> Seen:
        deadline = time.monotonic() + timeout_s
        while not (seen := self.seen()).ready and time.monotonic() < deadline:
            time.sleep(0.3)
        return seen

    def until(self, script: str, timeout_s: float = 90):
        """Until the shell text on the host says yes."""
        deadline = time.monotonic() + timeout_s
        while self.host.run(script, check=False).returncode and time.monotonic() < deadline:
            time.sleep(0.05)
        assert time.monotonic() < deadline, script

    def trap(self, program: str, words: str, does: str):
        """The next time that the host runs the program with these words among its arguments, something else happens."""
        real = self.host.run(f"command -v {program}").stdout.strip()
        mark = f"/var/tmp/trapped-{program}"  # outlives a reboot
        text = (
            f'#!/bin/sh\ncase "$*" in *"{words}"*) if mkdir {mark} 2>/dev/null; then {does}; fi ;; esac\n'
            f'exec {real} "$@"\n'
        )
        self.host.run(f"rmdir {mark} 2>/dev/null; cat >/usr/local/bin/{program} <<'END'\n{text}END\n")
        self.host.run(f"chmod 755 /usr/local/bin/{program}")

    def untrap(self):
        self.host.run("rm -f /usr/local/bin/mv /usr/local/bin/systemctl /usr/local/bin/ln /usr/local/bin/sync")

    def journal(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.host.run("cat /var/lib/livefleet/journal.jsonl").stdout.splitlines()]

    def close(self):
        shutil.rmtree(self.checkout, ignore_errors=True)
