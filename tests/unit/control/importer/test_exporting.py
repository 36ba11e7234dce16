"""Hosts as go-livepeer's flags, and back."""

import json
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livefleet.control.importer import (
    FORMATS,
    Given,
    Imported,
    Outcome,
    Wishes,
    flags_of,
    gateway_prices_text,
    import_nodes,
)
from livefleet.control.importer.prices import price_text
from livefleet.spec import Currency, DeclaredPrice, NodeSpec, Role, to_yaml
from livefleet.spec.gateways_file import parse_gateways
from tests.builders.spec import a_fleet

pytestmark = pytest.mark.unit

ADDRESSES = [
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
]
HEAD = f"""\
name: f
network: {{name: arbitrum-one-mainnet, rpc: ["https://rpc.example.org"]}}
keys: {{k: {{host_file: /k/key.json, address: "{ADDRESSES[0]}", password: {{host_file: /k/pass}}}}}}
secrets: {{s: {{host_file: /k/secret.txt}}}}
hosts:
"""
PRICES = st.builds(
    lambda amount, currency: price_text(DeclaredPrice(amount, currency)),
    st.fractions(min_value=0, max_value=10**15, max_denominator=10**12),
    st.sampled_from(Currency),
)
UUIDS = st.lists(st.uuids().map(lambda uuid: f"GPU-{uuid}"), min_size=1, max_size=3, unique=True)
GPUS = st.one_of(st.just("all"), st.just("none"), UUIDS)
PORTS = st.integers(1, 65535)


@st.composite
def orchestrators(draw: st.DrawFn) -> dict[str, Any]:
    """Hosts as far as both sides can say them."""
    port, door = draw(PORTS), draw(PORTS)
    sessions, works = draw(st.integers(1, 500)), draw(st.booleans())
    gpus = draw(GPUS) if works else "all"
    limit = draw(st.sampled_from([0, 5, 10**10]))
    limits = {"max_gas_price": limit, "urgent_max_gas_price": limit} if limit else {}
    transcoding = {"max_sessions": sessions} | ({"encoder": "software"} if gpus == "none" else {})
    duties: dict[str, Any] = {"transcoding": transcoding} if works else {}
    duties |= (
        {"reward": limits | draw(st.sampled_from([{}, {"initialize_round": True}]))} if draw(st.booleans()) else {}
    )
    orchestrator: dict[str, Any] = {
        "service_uri": f"https://{draw(st.sampled_from(['a.example.org', '203.0.114.9']))}:{port}",
        "listen": f"0.0.0.0:{door}",
        "key": "k",
        "max_sessions": sessions,
        "worker_secret": "s",
        "ticket": {"expected_value": draw(st.integers(1, 10**13)), "max_face_value": draw(st.integers(0, 10**18))},
    }
    if draw(st.booleans()):
        orchestrator["recipient"] = ADDRESSES[1]
    if draw(st.booleans()):
        orchestrator["redeemer"] = f"10.0.0.9:{door}"
    else:
        duties["redemption"] = limits
    if draw(st.booleans()):
        orchestrator["nodes"] = ["https://n.example.org:1", "https://m.example.org"]
    prices: dict[str, Any] = {"video": draw(PRICES), "auto_adjust": draw(st.booleans())}
    if gateways := draw(st.dictionaries(st.sampled_from(ADDRESSES), PRICES, max_size=3)):
        prices["gateways"] = gateways
    if draw(st.booleans()):
        prices["feed"] = {"address": ADDRESSES[2]}
    return {
        "address": "h", "role": "orchestrator", "gpus": gpus, "duties": duties, "orchestrator": orchestrator,
        "prices": prices,
        "monitoring": {
            "log_level": draw(st.sampled_from(["INFO", "DEBUG"])), "metrics_per_stream": draw(st.booleans()),
        },
    }  # fmt: skip


def node_of(host: dict[str, Any], folder: Path) -> NodeSpec:
    return a_fleet(folder, HEAD + f"  h: {json.dumps(host)}\n").node("h")


def back(text: str, folder: Path) -> tuple[NodeSpec, Imported]:
    imported = import_nodes([Given("s", text, folder)], Wishes(addresses={"": "h"}))
    (folder / "back").mkdir(exist_ok=True)
    fleet = a_fleet(folder / "back", imported.fleet)
    return fleet.node(fleet.hosts[0]), imported


def both_say(node: NodeSpec) -> dict[str, Any]:
    """The part of a node that has a place on both sides."""
    data = node.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    ours = ("name", "fleet", "driver", "keys", "secrets", "profile")
    kept = {name: value for name, value in data.items() if name not in ours}
    if node.orchestrator is not None:
        kept["orchestrator"] |= {
            "listen": node.orchestrator.listen,
            "worker_secret": node.secrets.get(node.orchestrator.worker_secret or ""),
            "key": [(key.address, key.password_file) for key in node.keys.values()],
        }
    kept["prices"] = kept.get("prices", {}) | {"gateways": dict(node.prices.gateways)}
    return kept


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(orchestrators(), st.sampled_from(list(FORMATS)))
def test_orchestrator__exported_and_imported__says_the_same(host: dict[str, Any], form: str) -> None:
    if form == "config" and isinstance(host["gpus"], list):
        host["gpus"] = "all"  # a config file has no variables
    with tempfile.TemporaryDirectory() as folder:
        node = node_of(host, Path(folder))

        again, imported = back(FORMATS[form](flags_of(node)), Path(folder))

    assert both_say(again) == both_say(node)
    assert imported.report.of(Outcome.UNKNOWN, Outcome.DEAD, Outcome.OVERRIDDEN, Outcome.DEPRECATED) == ()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "host",
    [
        {"role": "worker", "gpus": "all", "worker": {"orchestrator": "o.example.org:8935", "secret": "s"},
         "duties": {"transcoding": {"max_sessions": 7}}},
        {"role": "redeemer", "redeemer": {"listen": "10.0.0.9:8936", "key": "k", "recipient": ADDRESSES[1]},
         "duties": {"redemption": {"max_gas_price": 5, "urgent_max_gas_price": 5}}},
        {"role": "keykeeper", "keykeeper": {"orchestrator": ADDRESSES[0], "keys": {"orchestrator": "k"}},
         "duties": {"reward": {"initialize_round": True}}},
        {"role": "keykeeper", "keykeeper": {"orchestrator": ADDRESSES[1], "keys": {"reward_caller": "k"}},
         "duties": ["reward"]},
    ],
    ids=["worker", "redeemer", "keykeeper", "reward caller"],
)  # fmt: skip
def test_other_roles__exported_and_imported__say_the_same(host: dict[str, Any], form: str, tmp_path: Path) -> None:
    node = node_of({"address": "h", **host}, tmp_path)

    again, _ = back(FORMATS[form](flags_of(node)), tmp_path)

    ours, theirs = both_say(node), both_say(again)
    for data in (ours, theirs):
        data.pop("network", None)  # a worker needs none
        for section, field in (("worker", "secret"), ("redeemer", "key"), ("keykeeper", "keys")):
            data.get(section, {}).pop(field, None)
    assert theirs == ours
    assert sorted(key.address or "" for key in again.keys.values()) == sorted(
        k.address or "" for k in node.keys.values()
    )


def test_worker__of_both_kinds__is_two_processes(tmp_path: Path) -> None:
    host = {
        "address": "h", "role": "worker", "worker": {"orchestrator": "o:1", "secret": "s"},
        "duties": ["transcoding", "ai"], "models": [{"pipeline": "llm", "model_id": "a"}],
    }  # fmt: skip

    flags = flags_of(node_of(host, tmp_path))

    assert [command.name for command in flags.commands] == ["transcoder", "ai-worker"]
    assert flags.commands[1].flags == (
        ("aiWorker", True), ("orchAddr", "o:1"), ("orchSecret", "/k/secret.txt"), ("nvidia", "all"),
        ("aiModels", "aiModels.json"), ("monitor", True),
    )  # fmt: skip
    assert "write aiModels.json by `livefleet export ai-models h`" in flags.notes


def test_notes__tell_every_value_that_no_flag_has(tmp_path: Path) -> None:
    host = {
        "address": "h", "role": "orchestrator",
        "duties": {"transcoding": {"max_load": 0.5}, "reward": {"alarm_after_percent": 60}},
        "orchestrator": {"service_uri": "https://a.example.org", "key": "k"},
        "prices": {"gas_window_s": 5},
        "on_chain": {"reward_cut": "10%"},
    }  # fmt: skip

    notes = flags_of(node_of(host, tmp_path)).notes

    assert {note for note in notes if note.startswith("no flag says")} == {
        "no flag says `duties.transcoding.max_load`",
        "no flag says `duties.reward.alarm_after_percent`",
        "no flag says `prices.gas_window_s`",
        "no flag says `on_chain.reward_cut`",
    }
    assert any("redeems in every orchestrator" in note for note in notes)


def test_secrets__are_named_and_never_written(tmp_path: Path) -> None:
    host = {
        "address": "h", "role": "orchestrator", "duties": ["transcoding", "redemption"],
        "orchestrator": {
            "service_uri": "https://a.example.org:1", "key": "k", "auth_webhook": "s",
            "object_store": {"url": "s3+https://s.example.org/bucket", "access_key": "id", "secret": "s"},
        },
    }  # fmt: skip

    flags = flags_of(node_of(host, tmp_path))

    assert "-ethPassword /k/pass" in FORMATS["argv"](flags)
    assert not {"authWebhookUrl", "objectStore"} & {name for name, _ in flags.commands[0].flags}
    assert [note for note in flags.notes if note.startswith("-")] == [
        "-authWebhookUrl takes no file: set LP_AUTHWEBHOOKURL from the secret on the host",
        "-objectStore wants the secret in its URL: set LP_OBJECTSTORE from the secret on the host",
    ]


def test_monitor__has_no_process(tmp_path: Path) -> None:
    flags = flags_of(node_of({"address": "h", "role": Role.MONITOR.value}, tmp_path))

    assert flags.commands == ()
    assert flags.notes[0].startswith("go-livepeer has no monitor")


def test_unit__words_that_systemd_would_change__are_escaped(tmp_path: Path) -> None:
    host = {
        "address": "h", "role": "orchestrator", "duties": ["transcoding", "redemption"],
        "orchestrator": {"service_uri": "https://a.example.org:1", "key": "k", "auth_webhook": "https://h.example.org/%20$x"},
    }  # fmt: skip
    text = FORMATS["systemd"](flags_of(node_of(host, tmp_path)))

    assert "-authWebhookUrl https://h.example.org/%%20$$x" in text
    again, _ = back(text.replace("%%", "%"), tmp_path)
    assert again.orchestrator is not None
    assert again.orchestrator.auth_webhook == "https://h.example.org/%20$x"


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(ADDRESSES),
        st.builds(
            DeclaredPrice,
            st.fractions(min_value=0, max_value=10**20, max_denominator=10**15),
            st.sampled_from(Currency),
        ),
    )
)
def test_gateway_prices__written_and_read__are_equal(prices: dict[str, DeclaredPrice]) -> None:
    assert parse_gateways(gateway_prices_text(prices), "f") == prices


def test_gateway_prices__are_whole_numbers() -> None:
    text = gateway_prices_text({ADDRESSES[0]: DeclaredPrice(Fraction(1, 3), Currency.USD)}, indent=None)

    assert json.loads(text) == {
        "gateways": [{"ethaddress": ADDRESSES[0], "priceperunit": 1, "pixelsperunit": 3, "currency": "USD"}]
    }


def test_to_yaml__of_what_came_back__is_the_same_text(tmp_path: Path) -> None:
    """The digest of a node, and so whether apply has anything to do, hangs on this text."""
    host = {
        "address": "h", "role": "worker", "gpus": "all", "driver": {"install": False},
        "worker": {"orchestrator": "o.example.org:8935", "secret": "s"},
        "duties": {"transcoding": {"max_sessions": 7}},
    }  # fmt: skip
    node = node_of(host, tmp_path)

    again, _ = back(FORMATS["argv"](flags_of(node)), tmp_path)

    renamed = again.model_copy(
        update={"name": "h", "fleet": "f", "network": node.network, "secrets": node.secrets, "worker": node.worker}
    )
    assert to_yaml(renamed) == to_yaml(node)
