"""What a changed node.yaml does to a running agent."""

import typing
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from livefleet.spec import Currency, DeclaredPrice, NodeSpec, Prices, Role, Takeover, effects, take_over
from livefleet.spec.takeover_rules import RULES, rule_of

pytestmark = pytest.mark.unit

GATEWAY = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
BASE: dict[str, Any] = {
    "fleet": "f",
    "name": "n",
    "role": "orchestrator",
    "orchestrator": {"service_uri": "https://127.0.0.1:8935"},
    "duties": {"transcoding": {}, "reward": {}, "redemption": {}},
}
ROLES: dict[str, dict[str, Any]] = {
    "orchestrator": {},
    "worker": {"role": "worker", "worker": {"orchestrator": "o:8935", "secret": "join"}},
    "redeemer": {"role": "redeemer", "redeemer": {"key": "hot"}},
    "keykeeper": {"role": "keykeeper", "keykeeper": {"orchestrator": GATEWAY, "keys": {"reward_caller": "hot"}}},
}
CHANGES: dict[str, list[dict[str, Any]]] = {
    "live": [
        {"prices": {"video": "1300 wei", "gateways": {GATEWAY: "7 wei"}}},
        {"monitoring": {"log_level": "DEBUG"}},
        {"driver": {"min_version": "570.26"}},
        {"secrets": {"join": "secrets/join"}},
        {"on_chain": {"reward_cut": "10%"}},
        {"on_chain": {"gas": {"warn_below": "1 eth"}}},
        {"duties": {"transcoding": {"max_load": 0.5}, "reward": {"max_cost": "0.001 eth"}, "redemption": {}}},
    ],
    "restart": [
        {"orchestrator": {"service_uri": "https://127.0.0.1:8935", "listen": "0.0.0.0:1"}},
        {"gpus": "none"},
        {"service": {"stop_timeout_s": 5}},
        {"duties": {"transcoding": {}}},
        {"models": [{"pipeline": "llm", "model_id": "tiny"}]},
        {"prices": {"gas_window_s": 3}},
    ],
}

some_price = st.builds(DeclaredPrice, st.fractions(min_value=0), st.sampled_from(Currency))
some_prices = st.builds(
    Prices, video=some_price, gateways=st.dictionaries(st.just(GATEWAY), some_price), auto_adjust=st.booleans()
)
some_changes = st.lists(st.sampled_from([*CHANGES["live"], *CHANGES["restart"]]), max_size=3)


def a_node(*changes: dict[str, Any]) -> NodeSpec:
    data = dict(BASE)
    for change in changes:
        data |= change
    return NodeSpec.model_validate(data)


def a_model(model_id: str = "tiny", **fields: Any) -> dict[str, Any]:
    return {"pipeline": "text-to-image", "model_id": model_id, **fields}


# -- the table


def test_rules__every_setting_of_a_node__is_classified() -> None:
    unclassified = [".".join(path) for path in settings_of(NodeSpec) if rule_of(path) is None]
    assert unclassified == [], "say in spec/takeover_rules.py what a running agent does when it changes"


def test_rules__each__is_about_a_setting_that_there_is() -> None:
    paths = list(settings_of(NodeSpec)) + list(sections_of(NodeSpec))
    idle = [rule.path for rule in RULES if not any(rule.is_about(path) for path in paths)]
    assert idle == []


def test_rules__no_rule_is_hidden_by_an_earlier_one() -> None:
    paths = {*settings_of(NodeSpec), *sections_of(NodeSpec)}
    used = {id(rule) for path in paths for rule in [rule_of(path)] if rule is not None}
    assert [rule.path for rule in RULES if id(rule) not in used] == []


# -- effects


@given(some_changes)
def test_effects__same_spec__is_empty(changes: list[dict[str, Any]]) -> None:
    found = effects(a_node(*changes), a_node(*changes))
    assert not found
    assert found.takeover is Takeover.LIVE


@pytest.mark.parametrize("change", CHANGES["live"])
def test_effects__live_setting__needs_no_restart(change: dict[str, Any]) -> None:
    found = effects(a_node(), a_node(change))
    assert found
    assert found.restarts == ()


@pytest.mark.parametrize("change", CHANGES["restart"])
def test_effects__any_other_setting__restarts(change: dict[str, Any]) -> None:
    assert effects(a_node(), a_node(change)).takeover is Takeover.RESTART


@given(some_changes, some_changes)
def test_take_over__any_two_specs__leaves_exactly_what_a_restart_is_needed_for(
    here: list[dict[str, Any]], there: list[dict[str, Any]]
) -> None:
    running, newer = a_node(*here), a_node(*there)
    found = effects(running, newer)
    taken = take_over(running, newer)
    assert {e.path for e in effects(taken, newer).changes} == {e.path for e in found.restarts}
    assert {e.path for e in effects(running, taken).changes} == {e.path for e in found.live}
    if not found.restarts:
        assert taken == newer


@given(some_prices, some_prices)
def test_take_over__only_prices_differ__makes_them_equal(here: Prices, there: Prices) -> None:
    running, newer = (a_node().model_copy(update={"prices": prices}) for prices in (here, there))
    assert take_over(running, newer) == newer
    assert effects(running, newer).restarts == ()


def test_effects__one_model_priced_and_one_added__is_told_by_model() -> None:
    before = a_node({"models": [a_model(price="1 wei"), a_model("old")]})
    after = a_node({"models": [a_model(price="2 wei", gateways={GATEWAY: "3 wei"}), a_model("new")]})
    told = {e.path: e.takeover.value for e in effects(before, after).changes}
    assert told == {
        "models.text-to-image tiny.price": "live",
        "models.text-to-image tiny.gateways": "live",
        "models.text-to-image old": "restart",
        "models.text-to-image new": "restart",
    }
    assert [model.model_id for model in take_over(before, after).models] == ["tiny", "old"]
    assert str(take_over(before, after).models[0].price) == "2"


def test_effects__models_in_another_order__restarts() -> None:
    before, after = (a_node({"models": [a_model(name) for name in names]}) for names in ("ab", "ba"))
    assert [e.path for e in effects(before, after).restarts] == ["models"]


@pytest.mark.parametrize(("role", "expected"), [("orchestrator", Takeover.LIVE), ("worker", Takeover.RESTART)])
def test_effects__sessions_of_a_worker__were_told_when_it_joined(role: str, expected: Takeover) -> None:
    before = a_node(ROLES[role])
    after = a_node(ROLES[role], {"duties": BASE["duties"] | {"transcoding": {"max_sessions": 3}}})
    assert effects(before, after).takeover is expected


def test_effects__url_with_a_key_in_it__shows_its_host_alone() -> None:
    before = a_node({"network": {"name": "arbitrum-one-mainnet", "rpc": ["https://a.example/v2/KEY-ONE"]}})
    after = a_node({"network": {"name": "arbitrum-one-mainnet", "rpc": ["https://me:KEY-TWO@a.example/?k=KEY-TWO"]}})
    (effect,) = effects(before, after).changes
    assert effect.text == (
        'network.rpc: ["https://a.example/…"] -> ["https://…@a.example/…"]: '
        "restarts the agent (the link to the chain is made with it)"
    )


def test_effect__in_words__says_what_it_costs() -> None:
    (live,) = effects(a_node({"prices": {"video": "1200"}}), a_node({"prices": {"video": "1300"}})).changes
    assert live.text == "prices.video: 1200 -> 1300: taken over live"
    (gone,) = effects(a_node({"driver": {"min_version": "570.26"}}), a_node()).changes
    assert gone.text == "driver.min_version: 570.26 -> unsaid: taken over live"


# -- walking the model


def settings_of(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every field that holds a value, `*` for names and indexes."""
    for name, field in model.model_fields.items():
        models = list(_models_in(field.annotation))
        here = (*path, name, *(("*",) if _is_many(field.annotation, of_models=bool(models)) else ()))
        if not models:
            yield here
        for inner in models:
            yield from settings_of(inner, here)


def sections_of(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every part that may come or go as a whole."""
    for name, field in model.model_fields.items():
        yield (*path, name)
        models = list(_models_in(field.annotation))
        many = _is_many(field.annotation, of_models=bool(models))
        if many:
            yield (*path, name, "*")
        for inner in models:
            yield from sections_of(inner, (*path, name, *(("*",) if many else ())))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)


def _is_many(annotation: Any, *, of_models: bool) -> bool:
    origins = {typing.get_origin(annotation)}
    for argument in typing.get_args(annotation):
        origins |= {typing.get_origin(argument)}
    return dict in origins or (of_models and tuple in origins)


def test_roles__that_rules_name__are_roles() -> None:
    assert all(isinstance(role, Role) for rule in RULES for role in rule.roles)


ROTATED = {
    "service_uri": "https://127.0.0.1:8935",
    "worker_secret": "new",
    "worker_secret_before": {"secret": "old", "until": "2026-12-01T00:00Z"},
}
CERTIFIED = {"service_uri": "https://127.0.0.1:8935", "tls": {"certificate": "pem"}}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (ROTATED | {"worker_secret": "old", "worker_secret_before": None}, ROTATED, Takeover.LIVE),
        (ROTATED, ROTATED | {"worker_secret_before": None}, Takeover.LIVE),
        (ROTATED | {"worker_secret": None, "worker_secret_before": None}, ROTATED, Takeover.RESTART),
        (CERTIFIED, CERTIFIED | {"tls": {"certificate": "other", "key": "key"}}, Takeover.LIVE),
        (CERTIFIED | {"tls": None}, CERTIFIED, Takeover.RESTART),
    ],
)
def test_effects__secrets_and_certificate__are_rotated_live_once_there_are_any(
    before: dict[str, Any], after: dict[str, Any], expected: Takeover
) -> None:
    assert effects(a_node({"orchestrator": before}), a_node({"orchestrator": after})).takeover is expected


def test_effects__a_secrets_file_is_elsewhere__restarts() -> None:
    before, after = (a_node({"secrets": {"join": path}}) for path in ("secrets/join", "/run/join"))
    assert effects(before, after).takeover is Takeover.RESTART
