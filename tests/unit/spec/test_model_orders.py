"""Requests of single models as a file: durable, private, the last one of each model."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from livefleet.kernel import BadInput
from livefleet.kernel.incarnation import incarnation
from livefleet.spec import ModelOrder, ModelOrders, ModelWish, Pipeline, load_model_orders, save_model_orders

pytestmark = pytest.mark.unit

AWAY = ModelOrder(pipeline=Pipeline.LLM, model_id="a/b", wish=ModelWish.UNLOAD, since=100.0, reason="new driver")
NOW = AWAY.model_copy(update={"wish": ModelWish.LOAD, "since": 200.0, "incarnation": "boot/1/2"})
OTHER = AWAY.model_copy(update={"pipeline": Pipeline.TEXT_TO_IMAGE})


def test_save__requests__come_back_and_are_private(tmp_path: Path):
    orders = ModelOrders().adding(AWAY).adding(OTHER)
    save_model_orders(tmp_path, orders)
    (file,) = tmp_path.iterdir()
    assert (file.name, stat.S_IMODE(file.stat().st_mode)) == ("model-orders.json", 0o600)
    assert load_model_orders(tmp_path) == orders
    save_model_orders(tmp_path, ModelOrders())
    assert (list(tmp_path.iterdir()), load_model_orders(tmp_path)) == ([], ModelOrders())


def test_adding__of_the_same_model__replaces_the_earlier_one():
    assert ModelOrders().adding(AWAY).adding(OTHER).adding(NOW).models == (OTHER, NOW)


def test_within__another_run_of_the_agent__only_what_is_for_every_run():
    orders = ModelOrders(models=(OTHER, NOW))
    assert list(orders.within("boot/1/2")) == [OTHER, NOW]
    assert list(orders.within("boot/1/3")) == [OTHER]
    assert list(orders.within(None)) == [OTHER]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"models": [{}]}', '{"model": []}'])
def test_load__damaged__is_told_with_its_path(tmp_path: Path, text: str):
    (tmp_path / "model-orders.json").write_text(text)
    with pytest.raises(BadInput, match=r"model-orders\.json: "):
        load_model_orders(tmp_path)


def test_save__folder_is_missing__says_what_to_do(tmp_path: Path):
    with pytest.raises(BadInput, match="as the agent's user or root"):
        save_model_orders(tmp_path / "none", ModelOrders(models=(AWAY,)))


def test_incarnation__of_two_processes__is_not_the_same_and_of_none_is_none():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert incarnation(other.pid) not in {None, incarnation(os.getpid())}
        assert incarnation(other.pid) == incarnation(other.pid)
        assert other.stdin is not None
        other.stdin.close()
        other.wait(30)
    assert incarnation(other.pid) is None
