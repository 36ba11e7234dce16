"""What the operator's side renders is what the agent parses."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livefleet.spec import Currency, DeclaredPrice, NodeSpec, SpecError, load_fleet, load_node, node_digest, to_yaml

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
HOSTS = [
    (path, host) for path in sorted((ROOT / "inventory/examples").glob("*.yaml")) for host in load_fleet(path).hosts
]

GOLDEN = """\
# Node gpu-1 of fleet pool, written by livefleet; the next apply overwrites changes.
# {digest}
version: 1
fleet: pool
name: gpu-1
root: /
profile: nvidia-turing
network:
  name: arbitrum-one-mainnet
  rpc:
  - https://arb1.example.com/rpc
  - https://arb1-spare.example.com/rpc
  l1_block_s: 12.0
role: worker
duties:
  transcoding:
    encoder: auto
    max_sessions: 2
    max_load: 0.8
gpus: all
driver:
  install: true
  flavour: open
  families:
  - turing
  - ampere
  - ada
  reboot_timeout_s: 600.0
  drain_deadline_s: 600.0
  way_back: true
  container_toolkit: false
worker:
  orchestrator: orch.example.com:8935
  secret: pool
"""


@pytest.mark.parametrize(("path", "host"), HOSTS, ids=lambda v: v.stem if isinstance(v, Path) else v)
def test_node_yaml__rendered__is_parsed_as_the_same_node(tmp_path: Path, path: Path, host: str) -> None:
    node = load_fleet(path).node(host)
    file = tmp_path / "node.yaml"
    file.write_text(to_yaml(node))
    assert load_node(file) == node
    assert node_digest(load_node(file)) == node_digest(node)
    assert to_yaml(load_node(file)) == to_yaml(node)


def test_node_yaml__text__is_stable() -> None:
    node = load_fleet(ROOT / "inventory/examples/pool.yaml").node("gpu-1")
    assert to_yaml(node).startswith(GOLDEN.format(digest=node_digest(node)))


def test_node_yaml__other_hosts__are_not_in_it() -> None:
    text = to_yaml(load_fleet(ROOT / "inventory/examples/pool.yaml").node("gpu-1"))
    assert "orchestrator.json" not in text
    assert "PASSPHRASE" not in text
    assert "203.0.113" not in text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("fleet: f\nname: n\nrole: monitr\n", "node.yaml:3:7: `role` cannot be `monitr`; did you mean `monitor`?"),
        ("fleet: f\nname: n\n", "node.yaml:1:1: `role` is missing"),
        ("fleet: f\nname: n\nrole: monitor\nname: m\n", "node.yaml:4:1: key `name` is given twice"),
        (
            "fleet: f\nname: n\nrole: monitor\nkeys:\n  a: {fil: x}\n",
            "node.yaml:5:7: unknown key `fil` in `keys.a`; did you",
        ),
    ],
)
def test_load_node__wrong__says_where(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "node.yaml"
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_node(file)
    assert any(told in str(problem) for problem in caught.value.problems), caught.value.problems


_WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=20)
_PRICES = st.builds(DeclaredPrice, st.fractions(min_value=0), st.sampled_from(Currency))
_NODES = st.fixed_dictionaries(
    {
        "fleet": _WORDS,
        "name": _WORDS,
        "role": st.just("monitor"),
        "root": _WORDS,
        "duties": st.sampled_from(
            [{}, ["transcoding"], {"reward": {"check_every_s": 2.5}}, {"ai": True, "reward": False}]
        ),
        "prices": st.fixed_dictionaries(
            {
                "video": _PRICES,
                "gateways": st.dictionaries(st.from_regex(r"0x[0-9a-fA-F]{40}", fullmatch=True), _PRICES, max_size=3),
            }
        ),
        "secrets": st.dictionaries(_WORDS.filter(lambda k: k != "<<"), _WORDS, max_size=3),
    }
)


@given(_NODES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_node_yaml__any_node__survives_the_way(tmp_path: Path, data: dict[str, Any]) -> None:
    node = NodeSpec.model_validate(data)
    file = tmp_path / "node.yaml"
    file.write_text(to_yaml(node), encoding="utf-8")
    assert load_node(file) == node


@given(_NODES, st.randoms())
def test_digest__order_of_keys__does_not_count(data: dict[str, Any], rng: Any) -> None:
    keys = list(data["secrets"])
    rng.shuffle(keys)
    other = {**data, "secrets": {key: data["secrets"][key] for key in keys}}
    assert node_digest(NodeSpec.model_validate(data)) == node_digest(NodeSpec.model_validate(other))


def test_digest__any_other_value__is_another() -> None:
    node = NodeSpec.model_validate({"fleet": "f", "name": "n", "role": "monitor"})
    changed = node.model_copy(update={"root": "/x"})
    assert node_digest(node) != node_digest(changed)
    assert node_digest(node).startswith("sha256:")
