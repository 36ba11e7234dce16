"""Where deploys are run from."""

from pathlib import Path

import pytest

from livefleet.control import find_checkout
from livefleet.kernel import BadInput
from livefleet.spec import own_fleet_folder, own_profiles

pytestmark = pytest.mark.unit

CHECKOUT = Path(__file__).parents[3]


def test_checkout__nearest_folder_upwards_that_has_both__wins(tmp_path: Path) -> None:
    for name in ("deploys/run.py", "inventory/fleet.py"):
        (tmp_path / "mine" / name).parent.mkdir(parents=True)
        (tmp_path / "mine" / name).write_text("")
    (tmp_path / "mine/a/b").mkdir(parents=True)
    assert find_checkout(tmp_path / "mine/a/b") == tmp_path / "mine"


def test_checkout__none_above__is_the_one_that_came_with_the_package(tmp_path: Path) -> None:
    (tmp_path / "inventory").mkdir()  # an operator's own folder of that name is none
    assert find_checkout(tmp_path) == own_fleet_folder() == CHECKOUT
    assert own_profiles() == CHECKOUT / "profiles"


def test_checkout__a_hosts_installation__has_none_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livefleet.spec.own_files._PACKAGE", tmp_path / "lib/livefleet")
    with pytest.raises(BadInput, match="it is a host's"):
        find_checkout(tmp_path)
    assert not own_profiles().exists()
