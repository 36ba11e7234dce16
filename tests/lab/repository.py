"""A small apt repository: a folder of packages with the index that makes it installable from."""

import gzip
import hashlib
from pathlib import Path

from tests.lab.shell import run

__all__ = ["index"]


def index(folder: Path, suite: str = "") -> int:
    """Write `Packages` and `Release` for the packages in a folder; return how many there are.

    The release is not signed: hosts name the repository with `trusted=yes`. `suite`: what it calls itself.
    """
    for deb in folder.glob("*%3a*.deb"):  # apt writes an epoch's colon so, and web servers read it as a colon again
        deb.rename(deb.with_name(deb.name.replace("%3a", ".")))
    debs = sorted(folder.glob("*.deb"))
    packages = "".join(f"{_entry(deb)}\n" for deb in debs).encode()
    files = {"Packages": packages, "Packages.gz": gzip.compress(packages, mtime=0)}
    sums = "".join(f" {hashlib.sha256(content).hexdigest()} {len(content)} {name}\n" for name, content in files.items())
    named = f"Suite: {suite}\nCodename: {suite}\n" if suite else ""
    files["Release"] = f"Origin: livefleet lab\nLabel: livefleet lab\n{named}SHA256:\n{sums}".encode()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return len(debs)


def _entry(deb: Path) -> str:
    control = run(["dpkg-deb", "--field", str(deb)]).stdout.rstrip("\n")
    content = deb.read_bytes()
    return f"{control}\nFilename: ./{deb.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
