"""Two hosts are real machines: systemd, ssh, apt, reboot, a network of their own."""

import subprocess
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.lab.base import INSTALLABLE
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.ssh import make_key

pytestmark = [pytest.mark.component, pytest.mark.timeout(900)]  # the first run on a machine builds the base


@pytest.fixture(scope="module")
def lab(lab_hosts: Callable[..., Lab]) -> Lab:
    return lab_hosts("orch", "worker")


@pytest.fixture
def orch(lab: Lab) -> Host:
    return lab.hosts["orch"]


@pytest.fixture
def worker(lab: Lab) -> Host:
    return lab.hosts["worker"]


def test_boot__systemd_is_pid_1__has_finished_starting(orch: Host, worker: Host) -> None:
    for host in (orch, worker):
        assert host.run("cat /proc/1/comm").stdout == "systemd\n"
        said = host.run("systemctl is-system-running", check=False).stdout.strip()
        assert said in {"running", "degraded"}, host.run("systemctl --failed").stdout
        assert host.run("hostname").stdout.strip() == host.name


def test_ssh__root_and_deploy__log_in_and_deploy_may_sudo(orch: Host) -> None:
    assert orch.run("id -un").stdout == "root\n"
    assert orch.run("id -un", user="deploy").stdout == "deploy\n"
    sudo = orch.run("sudo -n id -un", user="deploy")
    assert (sudo.stdout, sudo.stderr) == ("root\n", "")


def test_ssh__another_key__is_refused(orch: Host, tmp_path) -> None:
    make_key(tmp_path / "stranger", "test-only stranger")
    done = replace(orch.login(), key=tmp_path / "stranger").run("true", check=False)
    assert done.returncode == 255
    assert "Permission denied (publickey" in done.stderr


def test_ssh__another_host_behind_the_address__is_refused(orch: Host, worker: Host) -> None:
    swapped = replace(orch.login(), known_hosts=orch.folder / "swapped")
    swapped.known_hosts.write_text(f"{orch.address} {worker.public_key()}\n")
    done = swapped.run("true", check=False)
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


def test_reboot__asked_by_the_host_itself__is_real(orch: Host, worker: Host) -> None:
    orch.run("echo kept > /root/kept; systemctl enable --now systemd-pstore.service; touch /run/lost")
    boot_id, neighbour = orch.boot_id(), worker.boot_id()
    uptime_before = float(orch.run("cut -d' ' -f1 /proc/uptime").stdout)
    started_before = orch.run("stat -c %Y /proc/1").stdout
    orch.reboot()
    assert orch.boot_id() != boot_id
    assert worker.boot_id() == neighbour
    assert orch.run("stat -c %Y /proc/1").stdout != started_before
    assert float(orch.run("cut -d' ' -f1 /proc/uptime").stdout) < uptime_before + 60  # far below the machine's own
    assert orch.run("cat /root/kept; ls /run/lost", check=False).stdout == "kept\n"
    assert len(orch.run("journalctl --list-boots --quiet").stdout.splitlines()) >= 1


def test_network__between_hosts_and_controller__works_by_name(lab: Lab, orch: Host, worker: Host) -> None:
    orch.run("ping -c1 -W5 worker && ping -c1 -W5 controller")
    worker.run("ping -c1 -W5 orch")
    (lab.public / "hello").write_text("from the controller\n")
    fetch = (
        "import urllib.request as r; print(r.urlopen('http://controller/hello', timeout=10).read().decode(), end='')"
    )
    assert worker.run(f'python3 -c "{fetch}"').stdout == "from the controller\n"


def test_network__outside__has_no_route(lab: Lab, orch: Host) -> None:
    assert [line.split()[0] for line in orch.run("ip route").stdout.splitlines()] == ["10.77.0.0/24"]
    ask = ["ip", "route", "get", "192.0.2.1"]
    for command in (orch.login().command(*ask), lab.controller_command(ask)):
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
        assert "Network is unreachable" in done.stderr


def test_network__interfaces__none_in_the_machines_own_namespace(lab: Lab) -> None:
    machine = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout
    assert "br0" in lab.run(["ip", "-o", "link"]).stdout
    assert "br0" not in machine
    assert "veth" not in machine


def test_apt__package_of_the_lab__is_really_installed(orch: Host, worker: Host) -> None:
    assert worker.run("dpkg -s nginx-light", check=False).returncode == 1
    worker.run("apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y nginx-light", timeout_s=240)
    assert worker.run("systemctl is-active nginx").stdout == "active\n"
    fetch = "import urllib.request as r; print(r.urlopen('http://worker/', timeout=10).status)"
    assert orch.run(f'python3 -c "{fetch}"').stdout == "200\n"
    assert orch.run("dpkg -s nginx-light", check=False).returncode == 1


def test_apt__every_installable_package__has_all_it_needs(orch: Host) -> None:
    orch.run(f"apt-get update && apt-get install --simulate --no-install-recommends -y {' '.join(INSTALLABLE)}")


def test_units__same_name_on_two_hosts__do_not_touch_each_other(orch: Host, worker: Host) -> None:
    for host in (orch, worker):
        host.run("systemd-run --unit=sleeper sleep 1000")
    orch.run("systemctl stop sleeper")
    assert worker.run("systemctl is-active sleeper").stdout == "active\n"
    worker.run("systemctl stop sleeper")


def test_units__hardened_like_a_service__can_start(orch: Host) -> None:
    settings = (
        "NoNewPrivileges=yes ProtectSystem=strict ProtectHome=yes PrivateTmp=yes DynamicUser=yes StateDirectory=probe"
    )
    settings += " ProtectKernelTunables=yes ProtectControlGroups=yes SystemCallFilter=@system-service"
    flags = " ".join(f"-p {setting}" for setting in settings.split())
    assert (
        orch.run(f"systemd-run --wait --pipe --quiet {flags} sh -c 'touch /var/lib/probe/x && echo ok'").stdout
        == "ok\n"
    )


def test_stop_and_start__files_stay__reset_takes_them_away(lab: Lab, worker: Host) -> None:
    worker.run("echo mine > /root/mine")
    lab.stop("worker")
    assert not worker.is_running()
    lab.start("worker")
    assert worker.run("cat /root/mine").stdout == "mine\n"
    lab.reset("worker")
    assert worker.run("cat /root/mine", check=False).returncode == 1
