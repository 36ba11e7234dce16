"""One test host: a layer over the base, a container that boots it, and the way in by ssh."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import cgroups
from tests.lab.errors import LabError
from tests.lab.processes import MARK, ProcessId, is_container_init, marked
from tests.lab.shell import Completed, run
from tests.lab.ssh import Login, make_key

__all__ = ["USERS", "Host"]

USERS = ("root", "deploy")  # deploy may sudo without a password
CHECKOUT = Path(__file__).parents[2]
NSPAWN_PLACES = ("/run/systemd/nspawn/propagate", "/run/systemd/nspawn/unix-export")
READY_S = 60
STOP_S = 30  # more than the supervisor's own patience with the host's PID 1


@dataclass(slots=True)
class Host:
    """A Debian machine of its own as far as ssh, systemd, apt, reboot and network go."""

    lab: str
    name: str
    address: str
    folder: Path
    base: Path
    namespace: Path
    key: Path
    known_hosts: Path
    through: tuple[str, ...]
    owner: ProcessId | None
    supervisor: ProcessId | None = None
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    port = 22

    @property
    def root(self) -> Path:
        """The host's file system, to look into from outside."""
        return self.folder / "root"

    @property
    def console(self) -> Path:
        """What the container and its supervisor printed."""
        return self.folder / "console.log"

    @property
    def machine(self) -> str:
        return f"lf-{self.lab}-{self.name}"

    def login(self, user: str = "root") -> Login:
        """How to log in as one of `USERS`."""
        return Login(self.name, self.address, self.port, user, self.key, self.known_hosts, self.through)

    def run(self, script: str, *, user: str = "root", timeout_s: float = 60, check: bool = True) -> Completed:
        """Run shell text on the host over ssh."""
        return self.login(user).run(script, timeout_s=timeout_s, check=check)

    def is_running(self) -> bool:
        return self.supervisor is not None and self.supervisor.is_alive()

    def public_key(self) -> str:
        """The host's ssh key, the same after a reset."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return make_key(self.folder / "host_key", f"test-only {self.machine}")

    def mount(self, seed: Mapping[str, tuple[str, int]]) -> None:
        """Lay an empty layer over the base and write what makes it this host: absolute path to content and mode."""
        self.lay(seed)
        for user in USERS[1:]:
            run(["chroot", str(self.root), "chown", "-R", f"{user}:{user}", f"/home/{user}"])

    def lay(self, seed: Mapping[str, tuple[str, int]]) -> None:
        """The same for a tree that has no users of the lab's."""
        for place in ("upper", "work", "root"):
            (self.folder / place).mkdir(parents=True, exist_ok=True)
        layers = f"lowerdir={self.base},upperdir={self.folder / 'upper'},workdir={self.folder / 'work'}"
        run(["mount", "-t", "overlay", self.machine, "-o", layers, str(self.root)])
        for path, (content, mode) in seed.items():
            self.write(path, content, mode)

    def write(self, path: str, content: str, mode: int = 0o644) -> None:
        """Write a file of the host from outside, owned by root."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(mode=0o700 if file.parent.name == ".ssh" else 0o755, parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(mode)

    def start(self) -> None:
        """Boot, without waiting for it."""
        if self.is_running():
            raise LabError(f"{self.name} runs already")
        mark = f"{self.lab}/{self.name}"
        groups = [word for path in cgroups.groups(self.machine) for word in ("--group", str(path))]
        owner = ["--owner", str(self.owner)] if self.owner else []
        boot = [
            "systemd-nspawn",
            "--quiet",
            "--boot",
            "--register=no",
            "--keep-unit",
            "--capability=CAP_NET_ADMIN",  # of its own network alone: it may have a firewall
            "--console=passive",
            "--link-journal=no",
            "--resolv-conf=off",
            "--timezone=off",
            f"--network-namespace-path={self.namespace}",
            f"--directory={self.root}",
            f"--machine={self.machine}",
            f"--hostname={self.name}",
            f"--setenv={MARK}={mark}",
        ]
        with self.console.open("ab") as console:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "tests.lab.supervisor", *groups, *owner, "--", *boot],
                cwd=CHECKOUT,
                env={"PATH": os.environ["PATH"], MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.supervisor = ProcessId.of(self._child.pid)

    def wait_ready(self, timeout_s: float = READY_S) -> str:
        """Wait until ssh answers and systemd has finished starting; return its word, `running` or `degraded`."""
        deadline = time.monotonic() + timeout_s
        said = ""
        while time.monotonic() < deadline:
            if not self.is_running():
                raise LabError(f"{self.name} ended while starting:\n{self._last_words()}")
            done = run(self.login().command("systemctl is-system-running --wait"), check=False, timeout_s=timeout_s)
            said = done.stdout.strip() or done.stderr.strip()
            if said in {"running", "degraded"}:
                return said
            time.sleep(0.2)
        raise LabError(f"{self.name} is not ready after {timeout_s:g} s ({said}):\n{self._last_words()}")

    def boot_id(self) -> str:
        """What tells one boot from the next."""
        return self.run("cat /proc/sys/kernel/random/boot_id").stdout.strip()

    def reboot(self, timeout_s: float = READY_S) -> None:
        """Reboot by the host's own command and wait until it has really started anew."""
        before = self.boot_id()
        self.run("systemctl reboot", check=False)  # the connection may end before the answer
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self.wait_ready(timeout_s)
            if self.boot_id() != before:
                return
            time.sleep(0.2)
        raise LabError(f"{self.name} did not reboot within {timeout_s:g} s")

    def stop(self) -> None:
        """Power off and leave no process behind; a host that is down already stays so."""
        if self.supervisor:
            self.supervisor.send(signal.SIGTERM)
            if self._child:
                self._wait_child()
            else:
                self.supervisor.wait_gone(STOP_S)
            self.supervisor = None
        self._kill_rest()
        cgroups.remove(cgroups.groups(self.machine))

    def unmount(self) -> None:
        """Take the layer off the base and delete it; the host must be down."""
        if self.root.is_mount():
            run(["umount", str(self.root)])
        for place in ("upper", "work", "root"):
            if (self.folder / place).exists():
                shutil.rmtree(self.folder / place)
        for place in NSPAWN_PLACES:
            folder = Path(place, self.machine)
            if folder.exists():
                folder.rmdir()

    def _wait_child(self) -> None:
        assert self._child is not None
        try:
            self._child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._kill_rest()
            self._child.wait(5)
        self._child = None

    def _kill_rest(self) -> None:
        """The last resort: PID 1 first, since with it goes everything inside."""
        rest = [process for process, lab, host in marked() if (lab, host) == (self.lab, self.name)]
        for process in sorted(rest, key=lambda process: not is_container_init(process.pid)):
            process.send(signal.SIGKILL)
        if alive := [str(process.pid) for process in rest if not process.wait_gone(10)]:
            raise LabError(f"{self.name}: processes that do not die: {', '.join(alive)}")

    def _last_words(self) -> str:
        return self.console.read_text(errors="replace")[-2000:] if self.console.exists() else "nothing was printed"
