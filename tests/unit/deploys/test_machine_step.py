"""The host around the agent: clock, journal, kernel settings, the service's user."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from deploys import steps
from deploys.facts import FileFact, Observed, SafetyFacts, Sysctl
from deploys.outcome import Outcome, Shell
from livefleet.spec import MachineSettings
from tests.builders.deploys import a_host, a_node

pytestmark = pytest.mark.unit

MANAGED = MachineSettings()
NODE = a_node()
AS_WANTED = {
    "net.ipv4.tcp_slow_start_after_idle": Sysctl(0, writable=True),
    "kernel.yama.ptrace_scope": Sysctl(1, writable=True),
    "fs.suid_dumpable": Sysctl(0, writable=True),
}


def a_host_with(**safety: Any) -> Observed:
    return a_host(safety=SafetyFacts(**{"time_services": ("chrony",), "sysctl": AS_WANTED, **safety}))


def shell(outcome: Outcome) -> Shell:
    (command,) = outcome.commands
    assert isinstance(command, Shell)
    return command


def settled(host: Observed, settings: MachineSettings = MANAGED) -> Observed:
    """The host after the step."""
    command = shell(steps.machine(settings, NODE, host))
    paths = [note.removeprefix("write ") for note in steps.machine(settings, NODE, host).notes if "write" in note]
    files = {}
    for path, line in zip(paths, command.stdin, strict=True):
        file = steps.HostFile(path, base64.b64decode(line), 0o644, None, secret=False)
        files[path] = FileFact(mode=0o644, owner="root", sha256=file.sha256)
    return replace(host, files=files)


def test_machine__bare_host__gets_files_of_our_own_and_they_are_put_in_force() -> None:
    outcome = steps.machine(MANAGED, NODE, a_host_with(sysctl=AS_WANTED | {"fs.suid_dumpable": Sysctl(2, True)}))  # noqa: FBT003
    assert outcome.notes == (
        "write /etc/sysctl.d/60-livefleet.conf",
        "write /etc/systemd/journald.conf.d/60-livefleet.conf",
        "set fs.suid_dumpable to 0",
    )
    command = shell(outcome)
    assert "sysctl -q -w fs.suid_dumpable=0" in command.text
    assert "systemctl restart systemd-journald.service" in command.text
    assert b"SystemMaxUse=1024M" in base64.b64decode(command.stdin[1])


def test_machine__again__is_no_change() -> None:
    assert steps.machine(MANAGED, NODE, settled(a_host_with())).commands == ()


def test_machine__journal_is_to_be_smaller__that_file_alone_is_written() -> None:
    smaller = MachineSettings.model_validate({"journal_max": "300 MiB"})
    outcome = steps.machine(smaller, NODE, settled(a_host_with()))
    assert outcome.notes == ("write /etc/systemd/journald.conf.d/60-livefleet.conf",)
    assert b"SystemMaxUse=300M" in base64.b64decode(shell(outcome).stdin[0])


@pytest.mark.parametrize(
    ("found", "is_set"),
    [
        (Sysctl(0, writable=True), True),
        (Sysctl(0, writable=False), False),
        (Sysctl(1, writable=True), False),
        (Sysctl(3, writable=True), False),  # stricter: stays
    ],
)
def test_machine__kernel_setting__is_set_where_it_is_weaker_and_may_be(found: Sysctl, is_set: bool) -> None:
    host = settled(a_host_with())
    host = replace(host, safety=replace(host.safety, sysctl=AS_WANTED | {"kernel.yama.ptrace_scope": found}))
    commands = steps.machine(MANAGED, NODE, host).commands
    assert bool(commands) is is_set


@pytest.mark.parametrize(
    ("safety", "starts"),
    [
        ({"time_services": ()}, True),
        ({"time_services": ("chrony",)}, False),
        ({"time_services": (), "container": "lxc"}, False),
        ({"time_services": (), "timesyncd_masked": True}, False),
    ],
)
def test_machine__no_time_service__one_is_installed_and_started_where_the_clock_is_its_own(safety, starts) -> None:
    host = a_host_with(**safety)
    assert steps.needs_time_service(MANAGED, NODE, host) is starts
    text = shell(steps.machine(MANAGED, NODE, host)).text
    assert ("systemctl enable --now --quiet systemd-timesyncd" in text) is starts


def test_machine__masked_time_service__is_told_what_to_do() -> None:
    host = settled(a_host_with(time_services=(), timesyncd_masked=True))
    assert "start one, tickets and TLS want a right clock" in steps.machine(MANAGED, NODE, host).notes[0]


@pytest.mark.parametrize(("swap", "told"), [(("/dev/sda2",), True), (("/dev/zram0", "/dev/dm-1"), False), ((), False)])
def test_machine__swap_in_the_clear__is_told(swap: tuple, told: bool) -> None:
    notes = steps.machine(MANAGED, NODE, settled(a_host_with(swap=swap))).notes
    assert any("swap on /dev/sda2" in note for note in notes) is told


def test_machine__gpus__their_modules_are_there_before_the_unit_looks() -> None:
    host = replace(a_host_with(), nvidia_pci=(0x2684,))
    command = shell(steps.machine(MANAGED, NODE, host))
    assert any(b"nvidia_uvm" in base64.b64decode(line) for line in command.stdin)


@pytest.mark.parametrize(
    ("safety", "words"),
    [
        ({"service_uid": 0}, "has the uid 0"),
        ({"service_uid": 999, "service_groups": ("livefleet", "docker")}, "is in docker, which is as good as root"),
        ({"service_uid": 999, "service_groups": ("livefleet", "sudo", "disk")}, "is in disk, sudo"),
    ],
)
def test_machine__service_user_is_more_than_one__is_refused(safety: dict[str, Any], words: str) -> None:
    for settings in (MANAGED, MachineSettings(mode="none")):
        assert words in (steps.machine(settings, NODE, a_host_with(**safety)).refusal or "")


def test_machine__ordinary_service_user__is_fine() -> None:
    host = a_host_with(service_uid=999, service_groups=("livefleet", "video", "render"))
    assert steps.machine(MANAGED, NODE, host).refusal is None


def test_machine__none__touches_nothing_and_takes_earlier_files_away() -> None:
    none = MachineSettings(mode="none")
    assert steps.machine(none, NODE, a_host_with()) == Outcome()
    command = shell(steps.machine(none, NODE, settled(a_host_with())))
    assert all(path in command.text for path in steps.MACHINE_PATHS)


@pytest.mark.parametrize("host", [a_host(systemd=False), a_host(uid=1000, user="me")])
def test_machine__a_folder_or_no_systemd__is_nobodys_machine(host: Observed) -> None:
    assert steps.machine(MANAGED, a_node(root="/srv/x"), host) == Outcome()


def test_remove__leaves_keys_and_takes_firewall_and_settings_away() -> None:
    kept = steps.remove(NODE, "/opt/livefleet", a_host(active=True), purge=False, present=True)
    text = shell(kept).text
    for gone in (*steps.MACHINE_PATHS, *steps.FIREWALL_PATHS, "nft delete table inet livefleet"):
        assert gone in text
    assert "/var/lib/livefleet" not in text
    assert "credstore" not in text
    purged = shell(steps.remove(NODE, "/opt/livefleet", a_host(active=True), purge=True, present=True)).text
    assert "/var/lib/livefleet" in purged
    assert "/etc/credstore.encrypted/livefleet.*" in purged
