"""What the operator's side runs from goes into the wheel beside the package; all else stands in pyproject.toml.

`livefleet/_fleet/` then holds `deploys/`, `inventory/`, `profiles/` and the lock as a checkout has them at its top: not
as packages of their own, whose names anybody's site-packages may have.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CHECKOUT = Path(__file__).resolve().parent
FOLDERS = ("deploys", "inventory", "profiles")
FILES = ("requirements.lock",)


class BuildWithFleet(build_py):
    """The package with a copy of the operator's side in it. An editable installation has the checkout instead."""

    def run(self) -> None:
        """Build anew: what an earlier build left would be taken for part of this one."""
        if self.editable_mode:
            super().run()
            return
        package = Path(self.build_lib) / "livefleet"
        shutil.rmtree(package, ignore_errors=True)
        super().run()
        for name in FOLDERS:
            shutil.copytree(
                CHECKOUT / name, package / "_fleet" / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
            )
        for name in FILES:
            shutil.copy(CHECKOUT / name, package / "_fleet")


setup(cmdclass={"build_py": BuildWithFleet})
