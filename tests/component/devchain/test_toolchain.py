import pytest

from livefleet.kernel import BadInput, OutsideWorld
from tests.devchain.toolchain import install

pytestmark = pytest.mark.component


def test_install__no_npm__names_the_packages(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="apt-get install nodejs npm"):
        install(tmp_path / "cache")


def test_install__npm_fails__says_why_and_leaves_nothing_half_made(tmp_path, monkeypatch):
    programs, cache = tmp_path / "bin", tmp_path / "cache"
    programs.mkdir()
    for name in ("node", "npm"):
        (programs / name).write_text("#!/bin/sh\necho 'no such registry' >&2\nexit 1\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    with pytest.raises(OutsideWorld, match="no such registry"):
        install(cache)
    assert [path.name for path in cache.iterdir()] == ["devchain.lock"]
