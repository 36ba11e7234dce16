"""A release from an index, a site's cache and a parcel: real installers, a small index on loopback, hashes checked."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploys import steps
from deploys.drivers import BUILDS
from deploys.facts import Observed
from deploys.models import Platform, Release
from deploys.outcome import Shell, Upload
from deploys.release import ReleaseShop
from livefleet.kernel import OutsideWorld
from livefleet.spec import ReleaseSettings
from tests.builders.deploys import a_host
from tests.builders.package_index import a_small_wheel, an_index, offer

pytestmark = [pytest.mark.component, pytest.mark.timeout(300)]

CU126 = next(build for build in BUILDS if build.label == "cu126" and build.machine == "x86_64")
NEEDS = frozenset({"node", "ai"})
PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "livefleet"
version = "0.1.0"
dependencies = ["click"]
[project.optional-dependencies]
node = ["pytools-small"]
ai = ["torch"]
all = ["livefleet[node,ai]"]
[project.scripts]
livefleet = "livefleet:main"
[tool.setuptools.packages.find]
where = ["agent"]
"""


@dataclass
class Site:
    """A checkout in small, the index that its packages come from, and who sends what."""

    folder: Path
    url: str
    asked: list[str]
    shop: ReleaseShop

    def release(self) -> Release:
        return self.shop.release(NEEDS, Platform.own(), CU126, f"{self.url}/whl")

    def settings(self, **fields: object) -> ReleaseSettings:
        return ReleaseSettings.model_validate({"torch_index_url": f"{self.url}/whl", **fields})

    def install(
        self, opt: Path, release: Release, facts: Observed, **settings: object
    ) -> subprocess.CompletedProcess[str]:
        """The step's commands on this machine in place of a host."""
        parcel = self.shop.parcel(release, self.settings(**settings), CU126)
        outcome = steps.agent(parcel, str(opt), facts, local=False, keep=2, bundle=self.shop.bundle)
        for command in outcome.commands:
            if isinstance(command, Upload):
                shutil.copy(command.source, command.dest)
                continue
            assert isinstance(command, Shell)
            stdin = "".join(f"{line}\n" for line in command.stdin)
            done = subprocess.run(["sh", "-c", command.text], input=stdin, capture_output=True, text=True, timeout=120)
            if done.returncode:
                return done
        return done


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    made = folder / "made"
    for wheel in (
        a_small_wheel(made, "click", "8.5.1"),
        a_small_wheel(made, "pytools-small", "1.0"),
    ):
        offer(folder / "www/simple", wheel)
    for wheel in (
        a_small_wheel(made, "torch", "2.13.0+cu126", "nvidia-small-cu12==12.6.4.1; sys_platform == 'linux'"),
        a_small_wheel(made, "nvidia-small-cu12", "12.6.4.1"),
        a_small_wheel(made, "nvidia-small-cu12", "12.6.9.9"),
    ):
        offer(folder / "www/whl/cu126", wheel)
    offer(folder / "www/whl/cu126", made / "nvidia_small_cu12-12.6.4.1-py3-none-any.whl")
    checkout = folder / "checkout"
    package = checkout / "agent/livefleet"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import torch, click, pytools_small\ndef main():\n    print(torch.VERSION)\n")
    (checkout / "pyproject.toml").write_text(PROJECT)
    (checkout / "requirements.lock").write_text("click==8.5.1\npytools-small==1.0\ntorch==2.13.0\n")
    with an_index(folder / "www") as (url, asked), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_INDEX_URL", f"{url}/simple")
        patch.setenv("PIP_CONFIG_FILE", "/dev/null")
        yield Site(folder, url, asked, ReleaseShop(checkout, folder / "cache", Platform.own()))


def versions_in(opt: Path, release: Release) -> set[str]:
    (packages,) = (opt / "releases" / release.id / "venv").glob("lib/python*/site-packages")
    return {path.name.removesuffix(".dist-info") for path in packages.glob("*.dist-info")}


def test_release__with_a_build_of_torch__has_what_that_build_pins(site: Site) -> None:
    names = [wheel.name.rpartition("-py3")[0] for wheel in site.release().wheels]
    assert names == ["click-8.5.1", "nvidia_small_cu12-12.6.4.1", "pytools_small-1.0", "torch-2.13.0+cu126"]
    site.asked.clear()
    again = ReleaseShop(site.folder / "checkout", site.folder / "cache", Platform.own())
    assert again.release(NEEDS, Platform.own(), CU126, f"{site.url}/whl").id == site.release().id
    assert not site.asked  # what is here is not asked for again


@pytest.mark.parametrize("source", ["carried", "index", "cache", "cache by http"])
def test_sources__bring_the_same_release(site: Site, tmp_path: Path, source: str) -> None:
    release = site.release()
    site.asked.clear()
    settings: dict[str, object] = {"source": source}
    if source == "index":
        settings["index_url"] = f"{site.url}/simple"
    if source.startswith("cache"):
        shutil.copytree(site.folder / "cache/wheels", site.folder / "www/wheels", dirs_exist_ok=True)
        place = f"{site.url}/wheels/" if source.endswith("http") else str(site.folder / "www/wheels")
        settings = {"source": "cache", "cache": place}
    done = site.install(tmp_path, release, a_host(), **settings)
    assert done.returncode == 0, done.stderr
    assert versions_in(tmp_path, release) == {
        *("livefleet-0.1.0", "click-8.5.1", "pytools_small-1.0"),
        *("torch-2.13.0+cu126", "nvidia_small_cu12-12.6.4.1"),
    }
    fetched = [path for path in site.asked if path.endswith(".whl")]
    assert bool(fetched) == (source in ("index", "cache by http"))
    sent = {path.name for path in tmp_path.glob("bundles/*/wheels/*")}
    assert bool(sent) == (source == "carried")


@pytest.mark.parametrize("source", ["carried", "index", "cache"])
def test_sources__other_bytes_than_were_looked_into__are_refused_and_leave_nothing(
    site: Site, tmp_path: Path, source: str
) -> None:
    release = site.release()
    site.shop.parcel(release, site.settings(), CU126)  # hashes are known from here on
    other = a_small_wheel(tmp_path / "other", "click", "8.5.1", "evil")
    settings: dict[str, object] = {"source": source}
    here = next(path for path in release.wheels if path.name.startswith("click-"))
    original = here.read_bytes()
    if source == "index":
        settings["index_url"] = f"{site.url}/other"
        for wheel in (other, site.folder / "made/pytools_small-1.0-py3-none-any.whl"):
            offer(site.folder / "www/other", wheel, hashed=False)
    elif source == "cache":
        shutil.copytree(site.folder / "cache/wheels", tmp_path / "wheels")
        shutil.copy(other, tmp_path / "wheels")
        settings["cache"] = str(tmp_path / "wheels")
    bundle = site.shop.bundle(site.shop.parcel(release, site.settings(), CU126))
    whole = bundle.read_bytes()
    try:
        if source == "carried":
            bundle.unlink()
            here.write_bytes(other.read_bytes())
        done = site.install(tmp_path / "opt", release, a_host(), **settings)
    finally:
        here.write_bytes(original)
        bundle.write_bytes(whole)
    assert done.returncode != 0
    assert "Hash mismatch for `click" in done.stderr
    assert not list((tmp_path / "opt/releases").glob("*"))
    assert not list((tmp_path / "opt/bundles").glob("*/.complete"))
    if source == "carried":
        assert site.install(tmp_path / "opt", release, a_host()).returncode == 0  # and the next one repairs it


def test_release__index_has_no_such_build__says_which(site: Site) -> None:
    other = next(build for build in BUILDS if build.label == "cu130" and build.machine == "x86_64")
    with pytest.raises(OutsideWorld, match=r"fetching torch==2\.13\.0\+cu130 failed"):
        site.shop.release(NEEDS, Platform.own(), other, f"{site.url}/whl")


def test_room__is_no_less_than_what_an_installation_takes(site: Site, tmp_path: Path) -> None:
    release = site.release()
    parcel = site.shop.parcel(release, site.settings(), CU126)
    assert site.install(tmp_path, release, a_host()).returncode == 0
    found = {file.stat().st_ino: file.stat() for file in tmp_path.rglob("*") if file.is_file()}
    assert sum(stat.st_blocks * 512 for stat in found.values()) <= parcel.room((), local=False, by_sudo=True).releases
