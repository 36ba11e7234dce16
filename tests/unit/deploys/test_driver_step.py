"""The driver's decisions: facts in, exact commands or a reason out."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploys import steps
from deploys.drivers import BRANCHES, DISTRIBUTIONS, FAMILIES, Distribution, family_of
from deploys.facts import DriverFacts, Listener, Observed, Offer, Package, parse_facts
from deploys.outcome import Outcome, Reboot, Shell
from tests.builders.deploys import NOW, a_host, a_node
from tests.unit.deploys.driver_golden import FOLDER, bare, golden, name_of
from tests.unit.deploys.driver_text import scripts

pytestmark = pytest.mark.unit

GTX_1080, RTX_4090, RTX_5090, H100, GTX_680 = 0x1B80, 0x2684, 0x2B85, 0x2330, 0x1180
OPEN_NOW = {"opens": "00:00", "closes": "00:00"}
SHUT_NOW = {"days": ["mon"], "opens": "02:00", "closes": "05:00", "timezone": "Europe/Berlin"}  # NOW is a Friday


def driver(facts: Observed, *, active: bool = False, local: bool = False, **settings: Any) -> Outcome:
    node = a_node(driver=settings)
    facts = replace(facts, active=active, current="0.1.0-aaaaaaaaaaaa" if active else "")
    return steps.driver(node, steps.ServiceKind.SYSTEMD, "/opt/livefleet", facts, now=NOW, local=local)


def a_gpu_host(device: int = RTX_4090, *, loaded: str = "", **driver_facts: Any) -> Observed:
    return a_host(nvidia_pci=(device,), nvidia_loaded=loaded, driver=DriverFacts(**{"headers": "here", **driver_facts}))


def packages(version: str, *, held: bool = True, whole: bool = True) -> tuple[Package, ...]:
    names = ("nvidia-driver-cuda", "nvidia-kernel-open-dkms", "libcuda1")
    driver_packages = tuple(Package(name, f"{version}-1", whole=whole, held=held) for name in names)
    return (*driver_packages, Package("nvidia-container-toolkit", "1.18.2-1", whole=True, held=False))


# -- every family on every distribution


@pytest.mark.parametrize("distribution", DISTRIBUTIONS.values(), ids=lambda row: row.name)
def test_driver__each_family_on_each_distribution__is_the_golden_one(distribution: Distribution) -> None:
    assert golden(distribution) == (FOLDER / name_of(distribution)).read_text()


def test_driver__scripts__are_shell() -> None:
    text = scripts(driver(a_gpu_host(), active=True, branch=580, reboot_window=OPEN_NOW, container_toolkit=True))
    subprocess.run(["sh", "-n"], input=text, text=True, check=True, timeout=60)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS.values(), ids=lambda row: row.name)
def test_table__every_source__has_known_branches_and_a_whole_fingerprint(distribution: Distribution) -> None:
    for source in distribution.sources:
        assert set(source.branches) <= set(BRANCHES)
        if source.repository is not None:
            assert len(bytes.fromhex(source.repository.fingerprint)) == 20
            assert source.repository.key_url.startswith(source.repository.url)


def test_families__rows__rise_and_neighbours_differ() -> None:
    ids = [family.first_id for family in FAMILIES]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize(
    ("device", "name"),
    [
        (0x1340, "maxwell"), (0x13C0, "maxwell"), (0x15F8, "pascal"), (0x17C8, "maxwell"), (0x1B06, "pascal"),
        (0x1D01, "pascal"), (0x1DB1, "volta"), (0x1E07, "turing"), (0x1EB8, "turing"), (0x1F82, "turing"),
        (0x20B0, "ampere"), (0x2184, "turing"), (0x2204, "ampere"), (0x2236, "ampere"), (0x2330, "hopper"),
        (0x2487, "ampere"), (0x2684, "ada"), (0x27B8, "ada"), (0x2901, "blackwell"), (0x2B85, "blackwell"),
    ],
)  # fmt: skip
def test_family_of__known_cards__are_told_apart(device: int, name: str) -> None:
    found = family_of(device)
    assert found is not None
    assert found.name == name


def test_family_of__kepler__is_unknown() -> None:
    assert family_of(GTX_680) is None


# -- what is there already


def test_driver__no_device__is_skipped_with_a_reason() -> None:
    assert driver(a_host()) == Outcome(notes=("skipped: no NVIDIA device on the PCI bus",))


def test_driver__switched_off__is_skipped() -> None:
    assert driver(a_gpu_host(), install=False).notes == ("skipped: `driver: {install: false}`",)


def test_driver__loaded_and_none_declared__is_left_alone() -> None:
    outcome = driver(a_gpu_host(loaded="570.211.01"))
    assert outcome == Outcome(notes=("skipped: driver 570.211.01 is loaded",))


def test_driver__loaded_on_an_unknown_distribution_and_none_declared__is_left_alone() -> None:
    facts = replace(a_gpu_host(loaded="580.65.06"), os_id="fedora", os_version="42")
    assert "580.65.06 is loaded" in driver(facts).notes[0]
    assert "no driver packages are known for fedora 42" in (driver(facts, branch=580).refusal or "")


def test_driver__as_declared_and_held__is_no_change() -> None:
    facts = a_gpu_host(loaded="580.95.05", packages=packages("580.95.05"))
    for settings in ({"branch": 580}, {"version": "580.95.05"}):
        assert driver(facts, **settings).commands == ()


def test_driver__as_declared_but_free_to_move__is_held() -> None:
    facts = a_gpu_host(loaded="580.95.05", packages=packages("580.95.05", held=False))
    outcome = driver(facts, branch=580)
    assert outcome.notes == ("driver 580.95.05 is as declared; hold 3 package(s) of it at that version",)
    assert "0) keep ;;" in scripts(outcome)


@pytest.mark.parametrize(
    ("facts", "settings", "words"),
    [
        (a_gpu_host(), {}, "there is no driver"),
        (a_gpu_host(loaded="570.1.1", packages=packages("570.1.1")), {"branch": 580}, "570.1.1 is loaded, branch 580"),
        (
            a_gpu_host(loaded="580.95.05", packages=packages("580.95.05")),
            {"version": "580.65.06"},
            "580.65.06 is declared",
        ),
        (a_gpu_host(loaded="570.1.1", packages=packages("570.1.1")), {"min_version": "580.65"}, "570.1.1 is loaded"),
        (a_gpu_host(packages=packages("580.95.05")), {"branch": 580}, "is installed and not loaded"),
        (a_gpu_host(loaded="580.65.06", packages=packages("580.95.05")), {"branch": 580}, "do not work together"),
        (
            a_gpu_host(loaded="580.95.05", packages=packages("580.95.05", whole=False)),
            {"branch": 580},
            "only half installed: nvidia-driver-cuda",
        ),
        (
            a_gpu_host(loaded="580.65.06", change="from 580.65.06 to 580.95.05", packages=packages("580.65.06")),
            {"branch": 580},
            "cut off (from 580.65.06 to 580.95.05)",
        ),
    ],
)
def test_driver__not_as_declared__is_changed_and_the_reason_is_told(
    facts: Observed, settings: dict[str, Any], words: str
) -> None:
    outcome = driver(facts, **settings)
    assert words in outcome.notes[0]
    (command,) = outcome.commands
    assert isinstance(command, Shell)
    assert "0) change ;;\n  1) check ;;\n  2) settle ;;" in scripts(outcome)


def test_driver__agent_serves__is_drained_stopped_and_started_again() -> None:
    outcome = driver(a_gpu_host(loaded="570.1.1", packages=packages("570.1.1")), active=True, branch=580)
    text = scripts(outcome)
    assert "livefleet agent drain /etc/livefleet/node.yaml --deadline=600" in text
    assert "--wait" in text
    assert "systemctl stop livefleet.service" in text
    assert "drain_file=/var/lib/livefleet/drain.json" in text
    assert "drained first" in outcome.notes[1]
    assert outcome.alone
    assert not driver(a_gpu_host(), branch=580).alone  # nothing of a bare host's is out of service


# -- the window


def test_driver__inside_its_window__may_reboot_and_not_begin_after_its_end() -> None:
    outcome = driver(a_gpu_host(loaded="570.1.1", packages=packages("570.1.1")), branch=580, reboot_window=OPEN_NOW)
    reboots = [command for command in outcome.commands if isinstance(command, Reboot)]
    assert reboots == [Reboot("/var/lib/livefleet-driver/reboot", 600)] * 2
    text = scripts(outcome)
    assert "reboot_allowed=1" in text
    assert f"begin_before={NOW - NOW % 86400 + 86400}" in text


def test_driver__outside_its_window__waits_and_serves() -> None:
    outcome = driver(a_gpu_host(loaded="570.1.1", packages=packages("570.1.1")), branch=580, reboot_window=SHUT_NOW)
    assert (outcome.commands, outcome.refusal) == ((), None)
    assert "waiting for its window, Mon 18 Jan 02:00 Europe/Berlin" in outcome.notes[0]
    assert "driver 570.1.1 goes on serving" in outcome.notes[0]


def test_driver__first_install_without_nouveau__waits_for_no_window() -> None:
    outcome = driver(a_gpu_host(), branch=580, reboot_window=SHUT_NOW)
    assert "reboot_allowed=0" in scripts(outcome)


def test_driver__nouveau_is_loaded__waits_for_the_window_or_is_refused_without_one() -> None:
    facts = replace(a_gpu_host(), nouveau=True)
    assert "without a driver until then" in driver(facts, reboot_window=SHUT_NOW).notes[0]
    assert any(isinstance(c, Reboot) for c in driver(facts, reboot_window=OPEN_NOW).commands)
    assert "only a reboot takes it away" in (driver(facts).refusal or "")
    assert "only a reboot takes it away" in (driver(facts, local=True, reboot_window=OPEN_NOW).refusal or "")


def test_driver__change_that_was_cut_off__waits_for_no_window() -> None:
    facts = a_gpu_host(loaded="580.65.06", change="from 580.65.06 to 580.95.05", packages=packages("580.65.06"))
    assert driver(facts, branch=580, reboot_window=SHUT_NOW).commands


# -- refusals


@pytest.mark.parametrize(
    ("settings", "devices", "words"),
    [
        ({"flavour": "open"}, (GTX_1080,), "open kernel modules do not drive devices before Turing"),
        ({"flavour": "proprietary"}, (RTX_5090,), "Blackwell devices need the open"),
        ({"flavour": "proprietary", "branch": 620}, (RTX_4090,), "no proprietary kernel modules any more"),
        ({"branch": 565}, (RTX_5090,), "branch 565 does not drive Blackwell devices yet, the first that does is 570"),
        (
            {"branch": 595},
            (GTX_1080,),
            "branch 595 does not drive Pascal devices any more; use `driver: {branch: 580}`",
        ),
        ({}, (GTX_1080, RTX_5090), "cannot share a host"),
        ({}, (GTX_680,), "of a generation before Maxwell"),
        ({"branch": 581}, (RTX_4090,), "branch 581 is not to be had for Debian 12 (x86_64)"),
        (
            {"families": ["blackwell"]},
            (RTX_4090,),
            "the host has ada cards, and `driver: {families: ...}` is for blackwell",
        ),
    ],
)
def test_driver__impossible_pair__is_refused_before_anything(
    settings: dict[str, Any], devices: tuple[int, ...], words: str
) -> None:
    facts = replace(a_gpu_host(), nvidia_pci=devices)
    assert words in (driver(facts, **settings).refusal or "")
    assert words in (preflight(facts, driver=settings).refusal or "")


NEWER = (Offer("cuda-drivers", "615.10-1", "http://mirror.example/old ./", "Elsewhere"),)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"secure_boot": True}, "no machine owner's key (MOK) is enrolled"),
        ({"secure_boot": True, "driver": {"mok": "pending"}}, "waits to be confirmed"),
        ({"driver": {"runfile": True}}, "a driver from a .run file is here"),
        ({"driver": {"offers": NEWER}}, "package source http://mirror.example/old has a newer driver than is declared"),
        ({"nouveau": True, "driver": {"display": True}}, "nouveau drives a screen"),
        ({"driver": {"headers": "absent"}}, "modules cannot be built for the running kernel 6.1.0-27-amd64"),
        ({"driver": {"dkms": ("nvidia/550.1.1, 6.1.0, x86_64: built",)}}, "dkms remove nvidia/550.1.1 --all"),
        ({"driver": {"boot_free_kib": 70_000, "initrd_kib": 60_000}}, "68 MiB are free at /boot"),
        ({"driver": {"usr_free_kib": 500_000}}, "488 MiB are free at /usr"),
        ({"driver": {"apt_holder": "unattended-upgr (process 812)"}}, "apt is in use by unattended-upgr (process 812)"),
        ({"apt": False}, "there is no apt-get"),
        ({"uid": 1000}, "needs root"),
        ({"nvidia_loaded": "570.1.1"}, "belongs to no package"),
        ({"os_id": "debian", "os_version": "11"}, "no driver packages are known for debian 11"),
        ({"os_id": "ubuntu", "os_version": "20.04"}, "no driver packages are known for ubuntu 20.04"),
    ],
)
def test_preflight__host_that_cannot_get_the_driver__is_refused_with_the_fix(
    change: dict[str, Any], words: str
) -> None:
    plain = {name: value for name, value in change.items() if name != "driver"}
    facts = replace(a_gpu_host(**change.get("driver", {})), **plain)
    outcome = preflight(facts, driver={"branch": 580})
    assert words in (outcome.refusal or "")
    assert len(outcome.commands) == 1  # the refusal itself, and nothing else


def test_preflight__driver_is_as_declared__asks_nothing_more_of_the_host() -> None:
    facts = a_gpu_host(
        loaded="580.95.05", packages=packages("580.95.05"), apt_holder="apt (process 1)", headers="absent", runfile=True
    )
    assert preflight(replace(facts, secure_boot=True), driver={"branch": 580}).refusal is None


def test_preflight__secure_boot_with_an_enrolled_key__builds_modules() -> None:
    facts = replace(a_gpu_host(mok="enrolled"), secure_boot=True)
    assert preflight(facts, driver={"branch": 580}).refusal is None


@pytest.mark.parametrize(
    ("duties", "device", "loaded", "settings", "words"),
    [
        (["transcoding"], RTX_4090, "550.163.01", {}, "needs driver 570 or newer, and 550.163.01 is what the host has"),
        (["transcoding"], RTX_4090, "", {"branch": 550}, "needs driver 570 or newer, and 550 is declared"),
        (["transcoding"], H100, "580.95.05", {}, "its cards have no encoder"),
    ],
)
def test_preflight__driver_too_old_for_what_the_duties_need__is_refused(
    duties: list[str], device: int, loaded: str, settings: dict[str, Any], words: str
) -> None:
    facts = a_gpu_host(device, loaded=loaded, packages=packages(loaded) if loaded else ())
    node = a_node(driver=settings, duties={name: {} for name in duties})
    outcome = steps.preflight(node, facts, now=NOW, sudo=False, room=None)
    assert words in (outcome.refusal or "")


def test_preflight__own_repository_with_a_newer_branch__is_no_foreign_one() -> None:
    offers = (
        Offer("cuda-drivers", "615.10-1", "http://mirror.example/cuda ./", "NVIDIA"),
        Offer(
            "cuda-drivers",
            "615.10-1",
            "https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64 ",
            "NVIDIA",
        ),
        Offer("nvidia-driver", "620.1-1", "http://deb.debian.org/debian sid/non-free", "Debian"),
    )
    repository = {"url": "http://mirror.example/cuda/"}
    assert preflight(a_gpu_host(offers=offers), driver={"branch": 580, "repository": repository}).refusal is None


# -- ports


@pytest.mark.parametrize(
    ("listener", "words"),
    [
        (
            Listener(8935, 71, own=False, unit="livepeer.service", program="livepeer"),
            (
                "port 8935, wanted for gateways and workers, is held by go-livepeer: livepeer (livepeer.service);"
                " `systemctl disable --now livepeer.service`"
            ),
        ),
        (Listener(7936, 0, own=False, unit="", program=""), "port 7936, wanted for the admin endpoints, is held by"),
    ],
)
def test_preflight__port_is_taken__names_who_holds_it(listener: Listener, words: str) -> None:
    assert words in (preflight(a_host(listeners=(listener,))).refusal or "")


def test_preflight__port_is_the_agents_own__passes() -> None:
    own = Listener(8935, 71, own=True, unit="livefleet.service", program="nginx")
    unseen = Listener(7936, 0, own=False, unit="", program="")
    assert preflight(a_host(listeners=(own, unseen), active=True)).refusal is None


# -- beside the driver


def test_driver__container_toolkit_is_wanted_and_absent__is_installed_once() -> None:
    there = packages("580.95.05")
    absent = a_gpu_host(loaded="580.95.05", packages=there[:3])
    outcome = driver(absent, branch=580, container_toolkit=True)
    assert outcome.notes[-1] == "install the NVIDIA container toolkit"
    assert "C95B321B61E88C1809C4F759DDCAE044F796ECB0" in scripts(outcome)
    present = a_gpu_host(loaded="580.95.05", packages=there)
    assert driver(present, branch=580, container_toolkit=True).commands == ()


PATCH = {"url": "file:///srv/libnvidia-encode.so", "sha256": "a" * 64}


def test_driver__session_patch__is_put_kept_and_taken_back() -> None:
    loaded: dict[str, Any] = {"loaded": "580.95.05", "packages": packages("580.95.05"), "encode_sha256": "b" * 64}
    new = driver(a_gpu_host(**loaded), version="580.95.05", session_patch=PATCH)
    assert f"patch_sessions 580.95.05 library file:///srv/libnvidia-encode.so {'a' * 64} {'a' * 64}" in scripts(new)
    patched = loaded | {"encode_sha256": "a" * 64, "encode_kept": "a" * 64}
    assert driver(a_gpu_host(**patched), version="580.95.05", session_patch=PATCH).commands == ()
    back = driver(a_gpu_host(**patched), version="580.95.05")
    assert back.notes[-1] == "put NVIDIA's own encoder library back"
    assert "0) restore_and_start ;;" in scripts(back)


# -- facts


def test_facts__printed_lines__are_read() -> None:
    found = parse_facts(
        [
            "package=ii|nvidia-driver-cuda|580.95.05-1",
            "package=iF|nvidia-kernel-open-dkms|1:580.95.05-1",
            "package=rc|libcuda1|570.1-1",
            "package=hi|nvidia-container-toolkit|1.18.2-1",
            "held=nvidia-driver-cuda",
            "origin=http://mirror.example/old|Elsewhere",
            "offer=cuda-drivers|615.10-1|http://mirror.example/old ./ Packages",
            "listener=8935 71 other livepeer.service livepeer",
            "listener=22 0 other - -",
            "headers=offered",
            "encode=abc /usr/lib/libnvidia-encode.so.580.95.05",
            "end=1",
        ]
    )
    assert found is not None
    assert found.driver.packages == (
        Package("nvidia-driver-cuda", "580.95.05-1", whole=True, held=True),
        Package("nvidia-kernel-open-dkms", "1:580.95.05-1", whole=False, held=False),
        Package("nvidia-container-toolkit", "1.18.2-1", whole=True, held=True),
    )
    assert found.driver.installed == "580.95.05"
    assert found.driver.broken == ("nvidia-kernel-open-dkms",)
    assert found.driver.offers == (Offer("cuda-drivers", "615.10-1", "http://mirror.example/old ./", "Elsewhere"),)
    assert (found.driver.headers, found.driver.encode_sha256) == ("offered", "abc")
    assert found.listeners == (
        Listener(8935, 71, own=False, unit="livepeer.service", program="livepeer"),
        Listener(22, 0, own=False, unit="", program=""),
    )


def test_bare__every_row__is_a_host_the_golden_ones_are_made_of() -> None:
    assert {bare(row, RTX_4090).os_id for row in DISTRIBUTIONS.values()} == {"debian", "ubuntu"}


def preflight(facts: Observed, **fields: Any) -> Outcome:
    return steps.preflight(a_node(**fields), facts, now=NOW, sudo=False, room=None)


# -- keys. The two in the file are test-only; gpg made them and told their fingerprints.

ONE, TWO = "5B68C48F9972B92A679E0CB0A3EA7609FD073FB2", "4D0A7B0EA399EEC4540535200CEB03E435A31669"


def trust(url: str, fingerprint: str, path: Path) -> str:
    """Run the part of driver_files.sh that takes a key; what it complained of."""
    text = (Path(steps.__file__).parents[1] / "files/driver_files.sh").read_text()
    program = text.partition("<<'PYTHON'\n")[2].partition("\nPYTHON\n")[0]
    argv = [sys.executable, "-c", program, url, fingerprint, str(path)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stderr


def test_trust__file_of_two_keys__only_the_wanted_one_is_written(tmp_path: Path) -> None:
    url = Path(__file__).with_name("two_keys.asc").as_uri()
    assert trust(url, ONE, tmp_path / "one.gpg") == ""
    assert trust(url, TWO.lower(), tmp_path / "two.gpg") == ""
    one, two = (tmp_path / "one.gpg").read_bytes(), (tmp_path / "two.gpg").read_bytes()
    assert b"test-only one" in one
    assert b"test-only two" not in one
    assert b"test-only two" in two
    assert (tmp_path / "one.gpg").stat().st_mode & 0o777 == 0o644


def test_trust__another_key_or_none__is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    url = Path(__file__).with_name("two_keys.asc").as_uri()
    assert "it is not trusted" in trust(url, "0" * 40, tmp_path / "key.gpg")
    (tmp_path / "page.html").write_text("<html>not found</html>")
    assert "is no public key" in trust((tmp_path / "page.html").as_uri(), ONE, tmp_path / "key.gpg")
    assert not (tmp_path / "key.gpg").exists()
