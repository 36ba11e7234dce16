"""Environments as hosts get them: exactly the wheels of some extras, and nothing of the checkout's own environment."""

import os
import subprocess
from pathlib import Path

from deploys.models import Release
from deploys.release import Platform, ReleaseShop
from tests.builders.deploys import ROOT

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "livefleet"


def a_shop(root: Path = ROOT) -> ReleaseShop:
    """From the checkout, with the wheels that its environment was made of."""
    return ReleaseShop(root, CACHE, Platform.own())


def an_environment(folder: Path, release: Release) -> Path:
    """The release's wheels installed; its Python."""
    uv, python = str(release.installer), str(folder / "bin/python")
    flags = ["--quiet", "--offline", "--no-config"]
    subprocess.run([uv, "venv", *flags, str(folder)], check=True, timeout=60)
    wheels = [str(path) for path in (*release.wheels, release.wheel)]
    subprocess.run(
        [uv, "pip", "install", *flags, "--no-index", "--no-deps", "--python", python, *wheels], check=True, timeout=120
    )
    return Path(python)
