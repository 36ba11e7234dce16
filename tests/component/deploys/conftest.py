"""A checkout whose agent is a stand-in that only answers the admin endpoints."""

import shutil
from pathlib import Path

import pytest

from tests.builders.deploys import a_checkout
from tests.lab.fixtures import lab_base, lab_hosts

__all__ = ["checkout", "lab_base", "lab_hosts"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = a_checkout(tmp_path_factory.mktemp("checkout") / "livefleet")
    shutil.copy(Path(__file__).parent / "stand_in_agent.py", folder / "agent/livefleet/cli/agent.py")
    return folder
