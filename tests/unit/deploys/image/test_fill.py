"""What is put into a tree: files and commands, without a tree."""

import base64

import pytest

from deploys.image.files import ENABLED, image_files
from deploys.image.fill import driver_commands, system_commands
from deploys.image.order import facts_of, resolve
from deploys.outcome import Shell
from deploys.steps import UNIT_PATH, driver_problems, render_unit
from livefleet.spec import ImageFormat
from tests.builders.image_orders import a_first_boot, an_order

pytestmark = pytest.mark.unit


def files(**order) -> dict[str, str]:
    return {file.path: file.content.decode() for file in image_files(resolve(an_order(**order)))}


def test_files__unit_of_the_agent__is_that_of_a_host():
    resolved = resolve(an_order())
    assert files()[UNIT_PATH] == render_unit(resolved.node, gpu=True)
    assert "DeviceAllow=char-nvidia-uvm rw" in files()[UNIT_PATH]


def test_files__first_boot__waits_for_the_network_and_runs_until_it_is_done():
    unit = files()["/etc/systemd/system/livefleet-first-boot.service"]
    for line in (
        "After=network-online.target systemd-resolved.service livefleet-host-keys.service",
        "ConditionPathExists=!/var/lib/livefleet/first-boot.done",
        "ExecStart=/opt/livefleet/current/venv/bin/livefleet agent first-boot",
        "Type=oneshot",
        "StandardOutput=journal+console",
        "TimeoutStartSec=infinity",
    ):
        assert line in unit.splitlines()


def test_files__presets__let_nothing_else_start_at_first_boot():
    lines = files()["/etc/systemd/system-preset/00-livefleet.preset"].splitlines()
    assert lines[-1] == "disable *"
    assert {f"enable {unit}" for unit in ENABLED} <= set(lines)
    assert "enable livefleet.service" not in lines
    assert "enable nvidia-persistenced.service" in lines


def test_files__network__is_matched_by_kind():
    text = files()["/etc/systemd/network/80-livefleet-dhcp.network"]
    assert "MACAddress" not in text
    assert "Name=" not in text
    assert "DHCP=yes" in text


def test_files__root__grows_in_a_file_system_and_is_nobodys_business_in_a_tar():
    assert "x-systemd.growfs" in files()["/etc/fstab"]
    assert "x-systemd.growfs" not in files(format=ImageFormat.ROOTFS_TAR)["/etc/fstab"]


def test_files__of_a_disk__leave_the_table_to_what_is_known_last():
    assert "/etc/fstab" not in files(format=ImageFormat.DISK)


def test_files__identity__is_none():
    found = files()
    assert found["/etc/machine-id"] == "uninitialized\n"
    assert found["/etc/hostname"] == "livefleet\n"
    assert not any("ssh_host" in path for path in found)


def test_files__pool_worker__is_asked_at_the_first_screen():
    drop_in = "/etc/systemd/system/livefleet-first-boot.service.d/ask.conf"
    assert drop_in not in files()
    assert "/dev/tty1" in files(first_boot=a_first_boot(mode="pool_worker", pool="Titan"))[drop_in]


def test_files__sources__are_the_distributions_own_whatever_it_was_made_from():
    text = files()["/etc/apt/sources.list.d/debian.sources"]
    assert "http://deb.debian.org/debian-security" in text
    assert "trusted" not in text


def test_system__commands__make_links_and_write_files_with_their_modes():
    _, commands = system_commands(resolve(an_order(authorized_keys=("ssh-ed25519 AAAA me",))))
    text = "\n".join(command.text for command in commands if isinstance(command, Shell))
    assert "systemctl mask --quiet nginx.service" in text
    assert "chmod 600 /root/.ssh/authorized_keys.livefleet-new" in text
    assert "sysctl -q -w" not in text  # it would be the builder's kernel
    sent = [line for command in commands if isinstance(command, Shell) for line in command.stdin]
    assert b"ssh-ed25519 AAAA me\n" in [base64.b64decode(line) for line in sent]


def test_system__firewall__only_where_it_is_declared(tmp_path):
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(
        "name: home\nsecrets: {s: {env: S}}\ndefaults: {firewall: managed}\n"
        'hosts: {a: {address: 10.0.0.1, role: worker, worker: {orchestrator: "o:1", secret: s}}}\n'
    )

    def enables(order) -> str:
        _, commands = system_commands(resolve(order))
        return next(line for c in commands for line in c.text.splitlines() if "systemctl enable --quiet" in line)

    assert "livefleet-firewall.service" in enables(an_order(fleet=fleet))
    assert "livefleet-firewall.service" not in enables(an_order())


def test_driver__script__is_the_hosts_own_for_the_images_kernels():
    _, (no_services, run) = driver_commands(resolve(an_order()), ["6.1.0-41-amd64"])
    assert "policy-rc.d" in no_services.text
    script = base64.b64decode(run.stdin[0]).decode()
    for text in (
        "kernels=6.1.0-41-amd64\n",
        "wanted='580.*'",
        "linux-headers-6.1.0-41-amd64",
        "trust https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64/3bf863cc.pub",
        "dkms autoinstall -k",
        "Pin-Priority: 1001",
        "0) image ;;",
    ):
        assert text in script
    assert "nvidia-smi" not in script


def test_facts__of_every_profile__fit_its_driver():
    for profile in ("nvidia-pascal", "nvidia-turing", "nvidia-blackwell", "nvidia-video"):
        order = an_order(profile=profile, duties=("transcoding",))
        node = resolve(order).node
        assert driver_problems(node, facts_of(order, node)) == []
