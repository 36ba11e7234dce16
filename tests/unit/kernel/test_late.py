"""Modules and names that are imported when they are used."""

import sys

import pytest

from livefleet.kernel.late import late, late_names, load

pytestmark = pytest.mark.unit


def test_late__only_looked_at__imports_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    stand_in = late("colorsys")
    assert "colorsys" in repr(stand_in)
    assert not hasattr(stand_in, "__wrapped__")
    assert "colorsys" not in sys.modules
    assert stand_in.rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0)
    assert "colorsys" in sys.modules


def test_late__what_follows__is_done_once_a_name():
    done = []
    stand_in = late("colorsys", then=lambda: done.append(1))
    assert stand_in.rgb_to_hls is stand_in.rgb_to_hls
    assert done == [1]


def test_late__package_is_not_there__says_so_when_it_is_used():
    stand_in = late("no_such_package")
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        _ = stand_in.anything


def test_late_names__unknown__is_an_attribute_error():
    found = late_names("here", {"rgb_to_hsv": "colorsys"})
    assert found("rgb_to_hsv")(0, 0, 0) == (0.0, 0.0, 0)
    with pytest.raises(AttributeError, match="'here' has no attribute 'other'"):
        found("other")


def test_load__stand_ins_and_modules__are_there_afterwards(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    done = []
    load(late("colorsys", then=lambda: done.append(1)), sys)
    assert "colorsys" in sys.modules
    assert done == [1]
