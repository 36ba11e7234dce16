"""Which extras of the package a node needs."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from livefleet.kernel import BadInput
from livefleet.pull import refusals
from livefleet.spec import EXTRAS, NodeSpec, extras_of, missing_extras, require_packages

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
MODEL = {"pipeline": "text-to-image", "model_id": "a/b", "price": "0.01 USD"}
ADDRESS = "0x" + "11" * 20
KEY = {"file": "keys/k.json", "address": ADDRESS}
ORCHESTRATOR = {"role": "orchestrator", "orchestrator": {"service_uri": "https://127.0.0.1:8935"}}
WORKER = {"role": "worker", "worker": {"orchestrator": "o:8935", "secret": "join"}}
ON_CHAIN = {
    "network": {"name": "arbitrum-one-mainnet", "rpc": [{"url": "http://127.0.0.1:1"}]},
    "keys": {"orchestrator": KEY},
}
PULL = {"pull": {"url": "https://bundles.example.com/home", "trust": "root.json"}}


def a_node(**fields: Any) -> NodeSpec:
    return NodeSpec.model_validate({"fleet": "f", "name": "n", "network": {"name": "offchain"}, **fields})


@pytest.mark.parametrize(
    ("fields", "extras"),
    [
        (ORCHESTRATOR, {"node"}),
        (ORCHESTRATOR | {"duties": ["transcoding"]}, {"node", "media"}),
        (ORCHESTRATOR | {"keys": {"orchestrator": KEY}}, {"node", "chain"}),  # it signs what it sends, off-chain too
        (ORCHESTRATOR | ON_CHAIN | {"duties": ["transcoding", "reward"]}, {"node", "media", "chain"}),
        (ORCHESTRATOR | ON_CHAIN | {"store": {"postgres": "db"}}, {"node", "chain", "store"}),
        (ORCHESTRATOR | {"store": {"postgres": "db"}}, {"node"}),  # nobody pays
        (WORKER | {"duties": ["transcoding"]}, {"node", "media"}),
        (WORKER | {"duties": ["transcoding"], "network": ON_CHAIN["network"]}, {"node", "media"}),  # workers only work
        (WORKER | {"duties": ["transcoding"]} | PULL, {"node", "media", "pull"}),
        (WORKER | {"duties": ["ai"], "models": [MODEL]}, {"node", "ai"}),
        (WORKER | {"duties": ["ai"], "models": [MODEL | {"url": "http://127.0.0.1:8000"}]}, {"node"}),
        (
            {"role": "keykeeper", "keykeeper": {"orchestrator": ADDRESS, "keys": {"orchestrator": "k"}}},
            {"node", "chain"},
        ),
        ({"role": "redeemer", "redeemer": {"key": "k", "listen": "127.0.0.1:1"}} | ON_CHAIN, {"node", "chain"}),
        ({"role": "monitor"}, {"node"}),
    ],
)
def test_extras__by_role_duties_and_network(fields: dict[str, Any], extras: set[str]):
    assert extras_of(a_node(**fields)) == extras


def test_table__is_what_the_package_offers_and_each_has_a_reason():
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = [extra.name for extra in EXTRAS]
    assert len(set(names)) == len(names)
    assert set(names) == set(offered) - {"agent", "control", "dev"}
    (union,) = offered["agent"]
    assert set(union.removeprefix("livefleet[").rstrip("]").split(",")) == set(names) - {"ai"}
    assert all(extra.why and extra.modules for extra in EXTRAS)


def test_packages__one_is_missing__is_told_with_what_it_is_for():
    node = a_node(**WORKER, duties=["transcoding"])
    (missing,) = missing_extras(node, lambda module: module != "av")
    assert missing.name == "media"
    assert missing_extras(node, lambda module: module not in ("web3", "torch", "tuf", "asyncpg")) == ()


def test_packages__not_installed__starting_is_refused_with_the_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "av" else object())
    with pytest.raises(
        BadInput, match=r"lacks packages that n needs \(`media`: .*pip install 'livefleet\[media,node\]'"
    ):
        require_packages(a_node(**WORKER, duties=["transcoding"]))
    require_packages(a_node(**ORCHESTRATOR))


def test_pulled_settings__need_packages_that_are_not_here__are_left_to_apply(monkeypatch: pytest.MonkeyPatch):
    before = a_node(**WORKER, **PULL)
    after = a_node(**WORKER, **PULL, duties=["transcoding"])
    assert refusals(before, after, lambda _: True) == ()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "av" else object())
    (reason,) = [reason for reason in refusals(before, after, lambda _: True) if "packages" in reason]
    assert "`apply` brings a release with `media`" in reason
