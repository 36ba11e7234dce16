"""An installation without the extra that a command needs."""

import sys

import pytest
from click.testing import CliRunner

from livefleet.cli import main

pytestmark = pytest.mark.unit


def test_command__its_package_is_not_installed__says_which_and_how(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("livefleet.control", "livefleet.cli.status"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fabric", None)  # as if it were not there
    result = CliRunner().invoke(main, ["status"])
    assert result.exit_code == 2
    assert "`status` needs the package fabric" in result.stderr
    assert "livefleet[control]" in result.stderr
