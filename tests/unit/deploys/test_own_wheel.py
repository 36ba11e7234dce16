"""Livefleet's own wheel, made again from an installation."""

import csv
import hashlib
import zipfile
from pathlib import Path

import pytest

from deploys.own_wheel import Checkout, Installed, content_digest, wheel_source
from livefleet.kernel import BadInput

pytestmark = pytest.mark.unit

INFO = "livefleet-1.2.3.dist-info"
FILES = {
    "livefleet/__init__.py": "__version__ = '1.2.3'\n",
    "livefleet/wire/a.proto": "syntax\n",
    "livefleet/__pycache__/__init__.cpython-311.pyc": "bytes",
    "livefleet/_fleet/deploys/run.py": "run\n",
    "livefleet/_fleet/requirements.lock": "click==8\n",
    f"{INFO}/METADATA": "Metadata-Version: 2.4\nName: livefleet\nVersion: 1.2.3\nRequires-Dist: click>=8.1\n\nReadme\n",
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/entry_points.txt": "[console_scripts]\nlivefleet = livefleet.cli:main\n",
    f"{INFO}/INSTALLER": "uv\n",
    f"{INFO}/direct_url.json": '{"url": "file:///home/me/secret-place"}',
}


def installed(folder: Path, **changed: str) -> Installed:
    files = FILES | changed
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    rows = [f"{name},," for name in ("../../../bin/livefleet", *files, f"{INFO}/RECORD")]
    (folder / INFO / "RECORD").write_text("\n".join(rows))
    return Installed(folder / "livefleet/_fleet")


def wheel_of(source: Installed, folder: Path) -> Path:
    source.write(folder)
    (path,) = folder.iterdir()
    return path


def test_installed__packed_again__is_a_wheel_of_the_package_alone(tmp_path: Path) -> None:
    path = wheel_of(installed(tmp_path / "site"), tmp_path / "out")
    assert path.name == "livefleet-1.2.3-py3-none-any.whl"
    with zipfile.ZipFile(path) as wheel:
        texts = {name: wheel.read(name) for name in wheel.namelist()}
    told = {row[0]: row[1:] for row in csv.reader(texts[f"{INFO}/RECORD"].decode().splitlines())}
    assert (
        set(texts)
        == set(told)
        == {
            "livefleet/__init__.py",
            "livefleet/wire/a.proto",
            *(f"{INFO}/{name}" for name in ("METADATA", "WHEEL", "entry_points.txt", "RECORD")),
        }
    )
    assert told["livefleet/__init__.py"][1] == str(len(texts["livefleet/__init__.py"]))


def test_installed__packed_twice_in_other_places__is_the_same_to_the_byte(tmp_path: Path) -> None:
    one, two = (
        hashlib.sha256(wheel_of(installed(tmp_path / place), tmp_path / f"{place}-out").read_bytes()).digest()
        for place in ("one", "two")
    )
    assert one == two


def test_installed__a_file_is_changed__state_and_content_differ(tmp_path: Path) -> None:
    one, two = installed(tmp_path / "one"), installed(tmp_path / "two", **{"livefleet/wire/a.proto": "other\n"})
    assert one.state() != two.state()
    assert content_digest(wheel_of(one, tmp_path / "1")) != content_digest(wheel_of(two, tmp_path / "2"))


def test_content__readme_is_another__is_the_same__requirement_is_another__differs(tmp_path: Path) -> None:
    metadata = FILES[f"{INFO}/METADATA"]
    plain, words, needs = (
        content_digest(wheel_of(installed(tmp_path / name, **{f"{INFO}/METADATA": text}), tmp_path / f"{name}-out"))
        for name, text in (
            ("plain", metadata),
            ("words", metadata.replace("Readme", "Another")),
            ("needs", metadata.replace("click>=8.1", "click>=9")),
        )
    )
    assert plain == words != needs


def test_installed__a_file_is_gone__says_which_and_to_reinstall(tmp_path: Path) -> None:
    source = installed(tmp_path / "site")
    (tmp_path / "site/livefleet/wire/a.proto").unlink()
    with pytest.raises(BadInput, match=r"lacks .*a\.proto; reinstall it"):
        source.state()


def test_installed__no_record_of_its_files__says_so(tmp_path: Path) -> None:
    source = installed(tmp_path / "site")
    (tmp_path / "site" / INFO / "RECORD").unlink()
    with pytest.raises(BadInput, match="has no RECORD of its files"):
        source.state()


def test_installed__nothing_is_installed_there__says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no checkout and no installed livefleet"):
        Installed(tmp_path / "livefleet/_fleet").state()


def test_lock__is_not_there__says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"requirements\.lock .*a whole checkout or an installation is needed"):
        wheel_source(tmp_path).lock()


def test_source__is_told_by_the_folder(tmp_path: Path) -> None:
    assert isinstance(wheel_source(Path(__file__).parents[3]), Checkout)
    assert isinstance(wheel_source(tmp_path), Installed)
