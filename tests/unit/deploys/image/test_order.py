"""What is asked for, judged before anything is made."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from deploys.image.order import resolve
from livefleet.kernel import BadInput
from livefleet.spec import ImageFormat, profile_names, resolve_profile
from tests.builders.image_orders import a_first_boot, an_order

pytestmark = pytest.mark.unit


def yaml(text: str):
    return YAML(typ="safe").load(text)


def a_profile(folder: Path, text: str) -> Path:
    """A fleet file with a profile `mine` beside it."""
    (folder / "profiles").mkdir()
    (folder / "profiles/mine.yaml").write_text(text)
    fleet = folder / "fleet.yaml"
    fleet.write_text(
        "name: home\nsecrets: {s: {env: S}}\n"
        'hosts: {a: {address: 10.0.0.1, role: worker, worker: {orchestrator: "o:1", secret: s}}}\n'
    )
    return fleet


def refused(*words: str, **order) -> None:
    with pytest.raises(BadInput) as error:
        resolve(an_order(**order))
    for word in words:
        assert word in str(error.value)


def test_resolve__profile_of_cards__gets_their_driver():
    resolved = resolve(an_order())
    assert resolved.wish is not None
    assert (resolved.wish.branch, resolved.wish.flavour) == (580, "open")
    assert "nvidia-kernel-open-dkms" in resolved.wish.packages
    assert [family.name for family in resolved.wish.families] == ["turing", "ampere", "ada"]
    assert "profile: nvidia-turing" in resolved.first_boot_text


def test_resolve__profile_without_cards__has_no_driver_and_in_a_tar_no_kernel():
    tar = resolve(an_order(profile="cpu", duties=("transcoding",), format=ImageFormat.ROOTFS_TAR))
    assert (tar.wish, tar.has_kernel) == (None, False)
    assert resolve(an_order(profile="cpu", duties=("transcoding",))).has_kernel


def test_resolve__kernel__is_the_one_asked_for_and_in_the_images_name():
    assert "linux-image-amd64" in resolve(an_order()).packages
    cloud = resolve(an_order(kernel="linux-image-cloud-amd64"))
    assert "linux-image-cloud-amd64" in cloud.packages
    assert "linux-image-amd64" not in cloud.packages
    assert (an_order().name, cloud.order.name) == ("nvidia-turing-bookworm-amd64", "nvidia-turing-bookworm-cloud-amd64")


def test_resolve__tar_that_asks_for_a_kernel__has_it():
    order = {"profile": "cpu", "duties": ("transcoding",), "format": ImageFormat.ROOTFS_TAR}
    assert not [name for name in resolve(an_order(**order)).packages if name.startswith("linux-image")]
    asked = resolve(an_order(**order, kernel="linux-image-cloud-amd64"))
    assert asked.has_kernel
    assert "linux-image-cloud-amd64" in asked.packages


@pytest.mark.parametrize(
    ("suite", "boots_by"), [("bookworm", {"systemd-boot"}), ("trixie", {"systemd-boot", "systemd-repart"})]
)
def test_resolve__disk__has_what_starts_and_grows_it(suite, boots_by):
    disk = resolve(an_order(profile="nvidia-turing", suite=suite, format=ImageFormat.DISK))
    assert boots_by <= set(disk.packages)
    assert not boots_by & set(resolve(an_order(suite=suite)).packages)


def test_resolve__further_packages__are_asked_for_once():
    packages = resolve(an_order(packages=("firmware-realtek", "nftables"))).packages
    assert "firmware-realtek" in packages
    assert len(packages) == len(set(packages))


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"kernel": "linux-image-rt-amd64"}, ("linux-image-rt-amd64", "linux-image-amd64, linux-image-cloud-amd64")),
        ({"packages": ("firmware realtek",)}, ("--package", "firmware-realtek")),
        ({"packages": ("-o",)}, ("--package",)),
        ({"consoles": ("ttyS0",)}, ("--console is for a disk",)),
        ({"consoles": ("tty0 init=/bin/sh",), "format": ImageFormat.DISK}, ("ttyS0,115200",)),
        ({"consoles": ("/dev/ttyS0",), "format": ImageFormat.DISK}, ("ttyS0,115200",)),
    ],
)
def test_resolve__kernel_package_or_console_that_cannot_be__is_refused(order, words):
    refused(*words, **order)


@pytest.mark.parametrize("console", ["tty0", "tty1", "ttyS0", "ttyS1,115200", "ttyS0,115200n8", "ttyUSB0,9600", "hvc0"])
def test_resolve__console_of_a_kernel__is_taken(console):
    assert resolve(an_order(format=ImageFormat.DISK, consoles=(console,))).order.consoles == (console,)


@pytest.mark.parametrize(
    ("first_boot", "extras"),
    [
        ({}, {"node", "media", "pull", "chain"}),
        ({"mode": "pool_worker", "pool": "Titan"}, {"node", "media", "pull"}),
    ],
)
def test_resolve__extras__are_for_all_that_the_host_may_be_told_to_do(first_boot, extras):
    assert resolve(an_order(first_boot=a_first_boot(**first_boot))).extras == extras


def test_resolve__old_cards_on_a_distribution_without_their_driver__is_refused():
    refused("cards before Turing", "Debian 13", profile="nvidia-pascal", suite="trixie")


def test_resolve__unknown_profile__is_refused_with_a_hint():
    refused("no profile `nvidia-turin`", "nvidia-turing", profile="nvidia-turin")


def test_resolve__no_duty__is_refused():
    refused("has no duty", "--duty", profile="cpu")


def test_resolve__cards_not_said__is_refused(tmp_path):
    fleet = a_profile(tmp_path, "gpus: all\nduties: [transcoding]\n")
    refused("does not say which cards", profile="mine", fleet=fleet)


def test_resolve__first_boot_of_another_profile__is_refused():
    refused("is for profile cpu", first_boot=a_first_boot(profile="cpu"))


def test_resolve__several_faults__are_told_at_once(tmp_path):
    fleet = a_profile(tmp_path, "gpus: all\n")
    refused("has no duty", "does not say which cards", profile="mine", fleet=fleet)


@pytest.mark.parametrize(
    "secret",
    ["http://user:hunter2@mirror.example/nvidia/", "http://mirror.example/nvidia/?token=abcdef"],
)
def test_resolve__secret_in_the_profile__is_refused_and_not_repeated(tmp_path, secret):
    text = f"gpus: all\nduties: [transcoding]\ndriver: {{families: [ada], repository: {{url: '{secret}'}}}}\n"
    fleet = a_profile(tmp_path, text)
    with pytest.raises(BadInput, match="holds no secret") as error:
        resolve(an_order(profile="mine", fleet=fleet))
    assert "hunter2" not in str(error.value)
    assert "abcdef" not in str(error.value)


def test_resolve__private_key_given_as_a_public_one__is_refused():
    refused("a private key", authorized_keys=("-----BEGIN OPENSSH PRIVATE KEY-----",))


def test_resolve__fleets_defaults__count_and_its_hosts_do_not(tmp_path):
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(
        "name: home\nsecrets: {s: {env: S}}\n"
        'defaults: {driver: {branch: 595}, firewall: managed, role: worker, worker: {orchestrator: "o:1", secret: s}}\n'
        "hosts: {a: {address: 10.0.0.1, driver: {branch: 570}}}\n"
    )
    resolved = resolve(an_order(fleet=fleet))
    assert (resolved.fleet, resolved.wish and resolved.wish.branch) == ("home", 595)
    assert resolved.firewall.mode == "managed"
    assert "10.0.0.1" not in resolved.profile_text


def test_resolve__every_profile_of_a_card__gives_an_image_for_it():
    cards = {name: resolve_profile(name).layer.cards for name in profile_names()}
    for name, declared in cards.items():
        if not declared:
            continue
        resolved = resolve(an_order(profile=("split-worker", name), duties=("ai",)))
        assert resolved.wish is not None, name
        assert tuple(yaml(resolved.first_boot_text)["cards"]) == declared
        assert "ai" in resolved.extras


def test_resolve__role_and_card__together_are_one_image():
    resolved = resolve(an_order(profile=("solo", "rtx-3060")))
    assert resolved.node.role.value == "orchestrator"
    assert resolved.order.name == "solo+rtx-3060-bookworm-amd64"
    assert yaml(resolved.profile_text)["profile"] == ["solo", "rtx-3060"]


@pytest.mark.parametrize("profile", ["keykeeper", "redeemer", "monitor"])
def test_resolve__role_that_apply_sets_up__is_refused(profile):
    refused("images are for orchestrators and workers", profile=(profile, "rtx-3060"))


def test_resolve__driver_is_somebody_elses__cards_stay_and_nothing_is_installed(tmp_path):
    fleet = a_profile(tmp_path, "extends: rtx-3060\ndriver: {install: false}\n")
    resolved = resolve(an_order(profile="mine", fleet=fleet))
    assert resolved.wish is None
    assert yaml(resolved.first_boot_text)["cards"] == ["rtx-3060"]
