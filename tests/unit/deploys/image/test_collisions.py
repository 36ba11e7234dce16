"""Wheels that bring the same file."""

import zipfile
from pathlib import Path

import pytest

from deploys.image.collisions import settle_collisions

pytestmark = pytest.mark.unit


def a_wheel(folder: Path, name: str, **files: str) -> Path:
    path = folder / f"{name}-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file.replace("__", "/") + ".py", text)
    return path


@pytest.mark.parametrize("winner", ["a", "b"])
def test_settle__whoever_came_last__the_later_name_wins(tmp_path, winner):
    wheels = [a_wheel(tmp_path, "b", docs__conf="b", b="b"), a_wheel(tmp_path, "a", docs__conf="a", a="a")]
    installed = tmp_path / "site-packages"
    (installed / "docs/__pycache__").mkdir(parents=True)
    (installed / "docs/conf.py").write_text(winner)
    compiled = installed / "docs/__pycache__/conf.cpython-311.pyc"
    compiled.write_text(winner)
    assert settle_collisions(installed, wheels) == ("docs/conf.py",)
    assert (installed / "docs/conf.py").read_text() == "b"
    assert not compiled.exists()


def test_settle__same_content_twice__is_none(tmp_path):
    wheels = [a_wheel(tmp_path, "a", shared__init="same"), a_wheel(tmp_path, "b", shared__init="same")]
    assert settle_collisions(tmp_path / "none", wheels) == ()
