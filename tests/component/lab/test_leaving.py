"""Whatever happens, nothing of a lab stays on the machine."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab import state
from tests.lab.errors import LabError
from tests.lab.lab import Lab
from tests.lab.processes import MARK, ProcessId, descendants, marked

pytestmark = [pytest.mark.component, pytest.mark.timeout(900), pytest.mark.usefixtures("lab_base")]


def traces(lab: str) -> list[str]:
    """Everything on this machine that bears a lab's name."""
    processes = [f"process {process.pid} {host}" for process, name, host in marked() if name == lab]
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if f"lf-{lab}-" in line]
    names = [f"lf-ctl-{lab}", f"lf-{lab}-"]
    namespaces = [str(entry) for entry in Path("/run/netns").iterdir() if entry.name.startswith(tuple(names))]
    groups = [str(entry) for entry in Path("/sys/fs/cgroup").rglob(f"lf-{lab}-*")]
    spawn = [str(entry) for entry in Path("/run/systemd/nspawn").glob(f"*/lf-{lab}-*")]
    files = [str(state.folder(lab))] if state.folder(lab).exists() else []
    return processes + mounts + namespaces + groups + spawn + files


def test_leave__after_use__no_process_mount_namespace_group_or_file(tmp_path) -> None:
    with Lab.create("one", "two") as lab:
        controller = lab.spawn(["sleep", "1000"], log=tmp_path / "sleep.log")
        kinds = {trace.split()[0].split("/")[1] if trace[0] == "/" else trace.split()[0] for trace in traces(lab.name)}
        assert {"process", "run", "sys", "var"} <= kinds  # the search finds what is there
    assert traces(lab.name) == []
    assert controller.poll() is not None


def test_leave__body_failed__all_gone_too() -> None:
    lab = Lab.create("one")
    with pytest.raises(ZeroDivisionError), lab:
        raise ZeroDivisionError
    assert traces(lab.name) == []


def test_leave__systemd_nspawn_killed__its_orphan_is_found_and_ended() -> None:
    with Lab.create("one") as lab:
        supervisor = lab.hosts["one"].supervisor
        assert supervisor
        spawn = next(pid for pid in descendants(supervisor.pid) if _comm(pid) == "systemd-nspawn")
        os.kill(spawn, signal.SIGKILL)
        assert supervisor.wait_gone(30)
    assert traces(lab.name) == []


def test_owner_killed__hosts_power_off_by_themselves__the_next_lab_removes_the_rest() -> None:
    script = "import time; from tests.lab.lab import Lab; print(Lab.create('one').name, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        name = owner.stdout.readline().strip()
        hosts = [process for process, lab, _ in marked() if lab == name]
        assert hosts
        owner.kill()
    assert all(process.wait_gone(60) for process in hosts)
    assert traces(name)
    with state.locked():
        Lab.sweep()
    assert traces(name) == []


def test_create__two_labs_with_the_same_host_names__do_not_meet() -> None:
    with Lab.create("one") as first, Lab.create("one") as second:
        first.hosts["one"].run("echo first > /root/which")
        assert second.hosts["one"].run("ls /root/which", check=False).returncode == 2
        assert first.hosts["one"].address == second.hosts["one"].address
        assert first.hosts["one"].boot_id() != second.hosts["one"].boot_id()


def test_create__host_of_an_unknown_lab_still_runs__is_refused() -> None:
    ghost = subprocess.Popen(["sleep", "1000"], env={**os.environ, MARK: "ghost/one"})
    try:
        process = ProcessId.of(ghost.pid)
        while process not in [found for found, _, _ in marked()]:  # between fork and exec it is not marked yet
            time.sleep(0.01)
        with pytest.raises(LabError, match=rf"ghost/one \(pid {ghost.pid}\).*python -m tests.lab clean"):
            Lab.create("one")
    finally:
        ghost.kill()
        ghost.wait(10)


def test_create__no_host_name__is_refused() -> None:
    with pytest.raises(LabError, match="'Orch_1' is no name for a host"):
        Lab.create("Orch_1")


def _comm(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()
