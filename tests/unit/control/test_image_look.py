"""Images looked into and proven, by small ones made here."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from livefleet.cli import main
from livefleet.control.image import image_of, manifest_of, verify_image
from livefleet.kernel import BadInput
from tests.builders.image_manifests import a_manifest

pytestmark = pytest.mark.unit

DISK_IDS = ("disk_id", "boot_id", "root_id")


def an_image(folder: Path, name: str = "cpu-bookworm-amd64.tar", **fields: Any) -> Path:
    """A tar with nothing but its manifest, and the manifest beside it."""
    folder.mkdir(exist_ok=True)
    image, inside = folder / name, json.dumps(a_manifest(**fields)).encode()
    with tarfile.open(image, "w") as tar:
        entry = tarfile.TarInfo("./usr/share/livefleet/image.json")
        entry.size = len(inside)
        tar.addfile(entry, io.BytesIO(inside))
    content = image.read_bytes()
    about = {"name": name, "format": "rootfs-tar", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / f"{name}.json").write_text(json.dumps(a_manifest(**fields) | {"file": about}))
    return image


def wrong(image: Path, against: Path | None = None) -> list[str]:
    return [finding.what for finding in verify_image(image, against) if not finding.fine]


def test_verify__as_made__is_fine(tmp_path):
    assert wrong(an_image(tmp_path)) == []


def test_verify__one_byte_changed__is_told(tmp_path):
    image = an_image(tmp_path)
    content = bytearray(image.read_bytes())
    content[-1] ^= 1
    image.write_bytes(content)
    assert wrong(image) == ["sha256"]


def test_verify__another_manifest_beside_it__is_told(tmp_path):
    image = an_image(tmp_path)
    beside = tmp_path / f"{image.name}.json"
    beside.write_text(beside.read_text().replace("2.6.1", "2.6.2"))
    assert wrong(image) == ["the manifest in it"]


def test_verify__against_one_of_other_packages__tells_which(tmp_path):
    first = an_image(tmp_path / "a")
    newer = [{"name": "apt", "version": "2.6.9", "architecture": "amd64", "sha256": None}]
    second = an_image(tmp_path / "b", packages=newer, tree_sha256="e" * 64)
    assert wrong(second, first) == ["tree", "file", "package apt:amd64"]
    assert wrong(first, first) == []


def test_verify__without_a_manifest_beside__is_refused(tmp_path):
    image = an_image(tmp_path)
    (tmp_path / f"{image.name}.json").unlink()
    assert manifest_of(image).file is None
    with pytest.raises(BadInput, match="no manifest beside it"):
        verify_image(image)


def test_image_of__folder_file_or_manifest__is_the_same_image(tmp_path):
    image = an_image(tmp_path)
    assert image_of(tmp_path) == image_of(image) == image_of(tmp_path / f"{image.name}.json") == image


def test_image_of__folder_of_two__names_them(tmp_path):
    an_image(tmp_path, "a.tar")
    an_image(tmp_path, "b.tar")
    with pytest.raises(BadInput, match=r"a\.tar, b\.tar"):
        image_of(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no tar"])
def test_manifest_of__something_else__is_refused(tmp_path, content):
    image = tmp_path / "x.tar"
    image.write_bytes(content)
    with pytest.raises(BadInput, match="no image of livefleet's"):
        manifest_of(image)


def test_manifest_of__of_a_later_version__says_what_it_does_not_know(tmp_path):
    image = an_image(tmp_path)
    beside = tmp_path / f"{image.name}.json"
    beside.write_text(json.dumps(json.loads(beside.read_text()) | {"firmware": "x"}))
    with pytest.raises(BadInput, match="firmware"):
        manifest_of(image)


def livefleet(*words: str):
    return CliRunner().invoke(main, ["image", *words])


def test_show__tells_what_is_in_it(tmp_path):
    an_image(tmp_path)
    told = livefleet("show", str(tmp_path), "--packages")
    assert told.exit_code == 0
    for text in ("cpu", "bookworm amd64, 1 packages", "0.1.0-abc", "apt 2.6.1"):
        assert text in told.output
    assert json.loads(livefleet("show", str(tmp_path), "--json").stdout)["profile"] == "cpu"


def test_show__of_a_disk__tells_what_its_kernel_is_told(tmp_path):
    ids = {name: f"{number}" * 8 + "-1111-5111-8111-111111111111" for number, name in enumerate(DISK_IDS, 1)}
    an_image(tmp_path, disk={**ids, "command_line": "root=PARTUUID=x ro console=tty0"})
    assert "root=PARTUUID=x ro console=tty0" in livefleet("show", str(tmp_path)).output
    assert json.loads(livefleet("show", str(tmp_path), "--json").stdout)["disk"]["root_id"] == ids["root_id"]


def test_verify_command__exit_code_says_it(tmp_path):
    image = an_image(tmp_path)
    assert livefleet("verify", str(image)).exit_code == 0
    image.write_bytes(image.read_bytes() + b"\0")
    told = livefleet("verify", str(image), "--json")
    assert told.exit_code == 1
    assert [f["what"] for f in json.loads(told.stdout)["findings"] if not f["fine"]] == ["size", "sha256"]
    assert livefleet("verify", str(tmp_path / "none")).exit_code == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "an image must know where its hosts enrol"),
        (("--enrol", "https://e.example:1"), "pins"),
        (("--enrol", "http://e.example:1", "--pin", "sha256:" + "a" * 64), "https://HOST:PORT"),
        (("--snapshot", "20260901T000000Z", "--apt-source", "deb http://m x main"), "give one of them"),
    ],
)
def test_build_command__what_cannot_be__is_refused_before_anything(tmp_path, words, told):
    result = livefleet("build", "--profile", "cpu", "--out", str(tmp_path / "out"), *words)
    assert result.exit_code == 2
    assert told in result.output
    assert not (tmp_path / "out").exists()


def test_build_command__private_key_as_authorized_key__is_refused(tmp_path):
    key = tmp_path / "id"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n")
    enrol = ("--enrol", "https://e.example:1", "--pin", "sha256:" + "a" * 64)
    result = livefleet(
        "build", "--profile", "cpu", "--out", str(tmp_path / "out"), *enrol, "--authorized-key", str(key)
    )
    assert result.exit_code == 2
    assert "is no public ssh key" in result.output
    assert "abc" not in result.output
