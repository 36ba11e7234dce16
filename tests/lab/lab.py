"""A lab: a controller namespace, its hosts, and everything that has to be gone afterwards."""

import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab import inotify, state
from tests.lab.base import base
from tests.lab.errors import LabError
from tests.lab.host import USERS, Host
from tests.lab.net import CONTROLLER_ADDRESS, Network
from tests.lab.processes import ProcessId, marked
from tests.lab.shell import Completed, run
from tests.lab.ssh import make_key
from tests.lab.state import HostState, LabState

__all__ = ["Lab"]

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
WAVE = 5  # hosts started at a time
Tell = Callable[[str], None]


def silent(_: str) -> None:
    """Tell nobody."""


class Lab:
    """Test hosts in a network of their own.

    Made by `Lab.create`, found again by `Lab.load`. As a context manager it is taken down at the end, whatever
    happened; a lab with an owner is also taken down by the next one when its owner died without doing so.
    """

    def __init__(self, written: LabState, tell: Tell = silent) -> None:
        self._state = written
        self._tell = tell
        self._network = Network(written.lab)
        self._spawned: list[subprocess.Popen[bytes]] = []
        self._writing = threading.Lock()  # hosts start side by side
        self.start_retries = 0
        self.hosts: dict[str, Host] = {name: self._host(name, host) for name, host in written.hosts.items()}

    # -- making and finding ------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, *names: str, lab: str | None = None, keep: bool = False, tell: Tell = silent) -> Self:
        """Make a lab and start its hosts, ready for ssh.

        With `keep` it outlives this process. What dead labs left behind is removed first. Raises LabError when
        something cannot be had, after removing what was made so far.
        """
        state.require_root()
        for name in (*names, *([lab] if lab else [])):
            if not NAME.fullmatch(name):
                raise LabError(f"{name!r} is no name for a host: lower case letters, digits and dashes")
        root = base(tell).root
        owner = None if keep else ProcessId.of(os.getpid())
        with state.locked():
            cls.sweep(tell)
            refuse_strangers()
            written = LabState(lab=lab or secrets.token_hex(3), owner=str(owner) if owner else None, base=root)
            if state.folder(written.lab).exists():
                raise LabError(f"lab {written.lab!r} exists already")
            state.folder(written.lab).mkdir(mode=0o700)
            written.save()
        made = cls(written, tell)
        try:
            made._open()
            made.add(*names)
        except BaseException:
            made.down()
            raise
        return made

    @classmethod
    def load(cls, lab: str, tell: Tell = silent) -> Self:
        """Find a lab again that another process made."""
        for written in state.labs():
            if written.lab == lab:
                return cls(written, tell)
        raise LabError(f"there is no lab {lab!r}")

    @classmethod
    def sweep(cls, tell: Tell = silent) -> None:
        """Take down every lab whose owner is gone."""
        for written in state.labs():
            if written.is_abandoned():
                tell(f"removing lab {written.lab}, whose owner is gone")
                cls(written)._remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    # -- using -------------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._state.lab

    @property
    def controller_address(self) -> str:
        """The controller's address as hosts see it."""
        return CONTROLLER_ADDRESS

    @property
    def public(self) -> Path:
        """A folder that hosts can fetch from at `http://<controller_address>/`."""
        return self._folder / "public"

    @property
    def key(self) -> Path:
        """The private key that every user of every host accepts; test-only."""
        return self._folder / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self._folder / "known_hosts"

    def controller_command(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs a program where the hosts can be reached."""
        return ["ip", "netns", "exec", self._network.controller, *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 120,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Completed:
        """Run a program in the controller namespace to its end."""
        return run(self.controller_command(argv), timeout_s=timeout_s, check=check, env=env, cwd=cwd)

    def spawn(
        self, argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program in the controller namespace that runs, apart from the terminal, until the lab goes down."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                self.controller_command(argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                start_new_session=True,
            )
        self._spawned.append(process)
        return process

    # -- hosts -------------------------------------------------------------------------------------------------------

    def add(self, *names: str) -> None:
        """Add hosts and wait until they are ready; a host that fails to start is started anew once."""
        for name in names:
            if not NAME.fullmatch(name):
                raise LabError(f"{name!r} is no name for a host: lower case letters, digits and dashes")
            if name in self.hosts:
                raise LabError(f"there is a host {name!r} already")
            index = next(i for i in range(256) if i not in {host.index for host in self._state.hosts.values()})
            self._state.hosts[name] = HostState(index=index)
            self.hosts[name] = self._host(name, self._state.hosts[name])
        self._state.save()
        with state.locked():
            inotify.ensure_room(sum(len(written.hosts) for written in state.labs()), state.store())
        self.known_hosts.write_text("".join(f"{h.name},{h.address} {h.public_key()}\n" for h in self.hosts.values()))
        for host in self.hosts.values():
            if host.root.is_mount():
                host.write("/etc/hosts", self._names())
        for name in names:
            self._network.attach(name, self._state.hosts[name].index)
            self.hosts[name].mount(self._seed(name))
        with ThreadPoolExecutor(WAVE) as pool:
            for word in pool.map(self._start, names):
                self._tell(word)

    def boot_tree(self, name: str, tree: Path, seed: Mapping[str, tuple[str, int]]) -> Host:
        """Boot another tree than the base, as it is but for `seed`; nobody waits, and nobody may be able to log in."""
        index = next(i for i in range(256) if i not in {host.index for host in self._state.hosts.values()})
        self._state.hosts[name] = HostState(index=index, tree=tree)
        self.hosts[name] = host = self._host(name, self._state.hosts[name])
        self._state.save()
        self._network.attach(name, index)
        host.folder.mkdir(parents=True, exist_ok=True)
        host.lay(seed)
        host.start()
        self._note(name)
        return host

    def start(self, name: str) -> None:
        """Boot a host that is down and wait until it is ready."""
        self.hosts[name].start()
        self._note(name)
        self.hosts[name].wait_ready()

    def stop(self, name: str) -> None:
        """Power a host off; its files stay."""
        self.hosts[name].stop()
        self._note(name)

    def reset(self, name: str) -> None:
        """Give a host back as it was when made: same address and keys, fresh files."""
        self.stop(name)
        self.hosts[name].unmount()
        self.hosts[name].mount(self._seed(name))
        self.start(name)

    def drop(self, name: str) -> None:
        """Remove one host for good."""
        host = self.hosts[name]
        with ExitStack() as always:  # the later steps are tried even when an earlier one fails
            always.callback(shutil.rmtree, host.folder, ignore_errors=True)
            always.callback(self._network.detach, name)
            always.callback(host.unmount)
            host.stop()
        del self.hosts[name]
        del self._state.hosts[name]
        self._state.save()

    def down(self) -> None:
        """Remove the lab: every process, mount, namespace and file of it."""
        with state.locked():
            self._remove()

    # -- inside ------------------------------------------------------------------------------------------------------

    @property
    def _folder(self) -> Path:
        return state.folder(self._state.lab)

    def _host(self, name: str, written: HostState) -> Host:
        return Host(
            lab=self._state.lab,
            name=name,
            address=Network.address(written.index),
            folder=self._folder / "hosts" / name,
            base=written.tree or self._state.base,
            namespace=Path("/run/netns", self._network.namespace(name)),
            key=self.key,
            known_hosts=self.known_hosts,
            through=tuple(self.controller_command([])),
            owner=ProcessId.parse(self._state.owner) if self._state.owner else None,
            supervisor=ProcessId.parse(written.supervisor) if written.supervisor else None,
        )

    def _open(self) -> None:
        self._network.create()
        make_key(self.key, "test-only livefleet lab")
        self.public.mkdir()
        (self.public / "debian").symlink_to(self._state.base.parent / "debs")
        self._serve_public()

    def _serve_public(self) -> None:
        """Serve packages by http, apart from this process since the lab may outlive it."""
        log = self._folder / "web.log"
        server = [sys.executable, "-u", "-m", "http.server", "80", "--bind", CONTROLLER_ADDRESS]
        process = self.spawn([*server, "--directory", str(self.public)], log=log)
        deadline = time.monotonic() + 20
        while "Serving HTTP" not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"the package server does not start: {log.read_text()}")
            time.sleep(0.05)

    def _seed(self, name: str) -> dict[str, tuple[str, int]]:
        host = self.hosts[name]
        public = make_key(self.key, "test-only livefleet lab") + "\n"
        homes = {user: "/root" if user == "root" else f"/home/{user}" for user in USERS}
        return {
            "/etc/hostname": (f"{name}\n", 0o644),
            "/etc/hosts": (self._names(), 0o644),
            "/etc/apt/sources.list": (f"deb [trusted=yes] http://{CONTROLLER_ADDRESS}/debian ./\n", 0o644),
            "/etc/ssh/ssh_host_ed25519_key": ((host.folder / "host_key").read_text(), 0o600),
            "/etc/ssh/ssh_host_ed25519_key.pub": (host.public_key() + "\n", 0o644),
            **{f"{home}/.ssh/authorized_keys": (public, 0o600) for home in homes.values()},
        }

    def _names(self) -> str:
        lines = [f"{CONTROLLER_ADDRESS} controller", *(f"{host.address} {host.name}" for host in self.hosts.values())]
        return "127.0.0.1 localhost\n::1 localhost\n" + "\n".join(lines) + "\n"

    def _start(self, name: str) -> str:
        host = self.hosts[name]
        host.start()
        self._note(name)
        try:
            word = host.wait_ready()
        except LabError:
            self.start_retries += 1
            host.stop()
            host.start()
            self._note(name)
            word = host.wait_ready()
        return f"{name} at {host.address}: {word}"

    def _note(self, name: str) -> None:
        process = self.hosts[name].supervisor
        with self._writing:
            self._state.hosts[name].supervisor = str(process) if process else None
            self._state.save()

    def _remove(self) -> None:
        with ExitStack() as always:
            always.callback(self._leave_machine_as_found)
            always.callback(shutil.rmtree, self._folder, ignore_errors=True)
            always.callback(self._network.remove)
            for name, host in self.hosts.items():
                always.callback(self._network.detach, name)
                always.callback(host.unmount)
            always.callback(self._stop_all)
            for process in self._spawned:
                always.callback(end, process)

    def _stop_all(self) -> None:
        with ThreadPoolExecutor(WAVE) as pool:
            list(pool.map(Host.stop, self.hosts.values()))

    def _leave_machine_as_found(self) -> None:
        if not state.labs():
            inotify.restore(state.store())


def refuse_strangers() -> None:
    """Refuse to start beside hosts that no lab on record accounts for: they would answer in the new ones' place."""
    known = {written.lab for written in state.labs()}
    strangers = {f"{lab}/{host} (pid {process.pid})" for process, lab, host in marked() if lab not in known}
    if strangers:
        raise LabError(
            f"hosts of a lab that is not on record still run: {', '.join(sorted(strangers))}; "
            "remove them with `python -m tests.lab clean`"
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, a bounded wait, SIGKILL."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)
