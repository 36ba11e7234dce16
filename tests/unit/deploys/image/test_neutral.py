"""What must not be in an image: taken out, and found where it is not."""

from pathlib import Path

import pytest

from deploys.image.neutral import REMOVED, neutralise, problems_in

pytestmark = pytest.mark.unit


def a_tree(root: Path) -> Path:
    """As small as a root file system can be."""
    for folder in (
        "etc/ssh",
        "var/lib/dbus",
        "var/lib/systemd",
        "var/log/journal",
        "root",
        "opt/livefleet",
        "tmp",
        "run",
    ):
        (root / folder).mkdir(parents=True)
    (root / "etc/machine-id").write_text("uninitialized\n")
    (root / "etc/hostname").write_text("livefleet\n")
    (root / "etc/shadow").write_text("root:!*:20000:0:99999:7:::\ndaemon:*:20000:0:99999:7:::\n")
    return root


def written(root: Path, path: str, text: str = "x") -> Path:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)
    return root / path


def test_problems__neutral_tree__has_none(tmp_path):
    assert problems_in(a_tree(tmp_path / "root")) == []


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("etc/ssh/ssh_host_ed25519_key", "ssh host keys"),
        ("etc/ssh/ssh_host_rsa_key.pub", "ssh host keys"),
        ("var/lib/dbus/machine-id", "machine id copies"),
        ("var/lib/systemd/random-seed", "random seed"),
        ("var/lib/apt/lists/deb.example_Packages", "package lists"),
        ("var/cache/apt/archives/x.deb", "package lists"),
        ("var/log/dpkg.log", "logs"),
        ("var/log/journal/a/system.journal", "logs"),
        ("root/.bash_history", "shell history"),
        ("home/me/.bash_history", "shell history"),
        ("var/lib/cloud/instance", "cloud-init state"),
        ("etc/shadow-", "backups of user files"),
        ("usr/sbin/policy-rc.d", "package manager's leftovers"),
        ("opt/livefleet/cache/x", "installer's leftovers"),
        ("etc/livefleet/node.yaml", "state of a node"),
        ("var/lib/livefleet/keys/hot", "state of a node"),
        ("tmp/x", "temporary files"),
        ("var/lib/dkms/mok.key", "keys of the builder's modules"),
        ("var/lib/dkms/nvidia/580.1/6.1.0-9-amd64/x86_64/log/make.log", "logs"),
    ],
)
def test_item__is_found_and_taken_out(tmp_path, path, what):
    root = a_tree(tmp_path / "root")
    file = written(root, path)
    assert any(problem.startswith(what) for problem in problems_in(root))
    neutralise(root)
    assert not file.exists()
    assert problems_in(root) == []


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("etc/machine-id", "0123456789abcdef0123456789abcdef\n", "/etc/machine-id"),
        ("etc/machine-id", "", "empty"),
        ("etc/hostname", "builder\n", "builder"),
        ("etc/shadow", "root:$y$j9T$abc:20000:0:99999:7:::\n", "a password for root"),
        ("etc/ssl/private/own.key", "-----BEGIN RSA PRIVATE KEY-----\n", "a private key"),
        ("etc/livefleet/keys.json", '{"ciphertext": "0123456789abcdef0123456789abcdef"}', "a private key"),
        ("etc/systemd/network/a.network", "[Match]\nMACAddress=00:11:22:33:44:55\n", "by hardware address"),
    ],
)
def test_problems__what_cannot_just_be_removed__is_told(tmp_path, path, text, told):
    root = a_tree(tmp_path / "root")
    written(root, path, text)
    (problem,) = problems_in(root)
    assert told in problem
    neutralise(root)
    assert problems_in(root) == [problem]


def test_neutralise__links_that_lead_out__are_not_followed(tmp_path):
    root, outside = a_tree(tmp_path / "root"), tmp_path / "outside"
    kept = written(outside, "kept")
    (root / "var/log/link").symlink_to(outside)
    (root / "var/cache").mkdir()
    (root / "var/cache/apt").symlink_to(outside)
    neutralise(root)
    assert kept.exists()
    assert not (root / "var/log/link").is_symlink()


def test_neutralise__resolver__is_the_systems_own_also_where_that_leads_nowhere_yet(tmp_path):
    root = a_tree(tmp_path / "root")
    (root / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    neutralise(root)
    assert str((root / "etc/resolv.conf").readlink()) == "../run/systemd/resolve/stub-resolv.conf"


def test_neutralise__logs__leave_their_folders(tmp_path):
    root = a_tree(tmp_path / "root")
    written(root, "var/log/apt/history.log")
    neutralise(root)
    assert (root / "var/log/journal").is_dir()
    assert (root / "var/log/apt").is_dir()


def test_removed__globs__start_in_the_tree():
    assert not [glob for globs in REMOVED.values() for glob in globs if glob.startswith("/") or ".." in glob]
