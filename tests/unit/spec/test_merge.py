from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.spec.document import Place
from livefleet.spec.profile import LayerData, Origins, Whole, merge, normal, over

pytestmark = pytest.mark.unit

_KEYS = st.sampled_from(["a", "b", "c", "d"])
_LEAVES = st.integers(0, 9) | st.none() | st.lists(st.integers(0, 3), max_size=2)
_LAYERS = st.recursive(
    st.dictionaries(_KEYS, _LEAVES, max_size=3),
    lambda inner: st.dictionaries(_KEYS, _LEAVES | inner | inner.map(Whole), max_size=3),
    max_leaves=8,
)


def places_of(data: Any, line: int) -> Place:
    place = Place(line, 1)
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    place.children = {key: places_of(value, line) for key, value in items}
    return place


def leaves(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    if isinstance(data, dict):
        return [leaf for key, value in data.items() for leaf in leaves(value, (*path, key))]
    return [(path, data)]


def value_at(data: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


@given(_LAYERS, _LAYERS)
def test_over__high_layer__wins_at_every_leaf_it_has(low: dict[str, Any], high: dict[str, Any]) -> None:
    merged = over(low, high)
    assert all(value_at(merged, path) == value for path, value in leaves(high))


@given(_LAYERS)
def test_over__itself_or_nothing__changes_nothing(layer: dict[str, Any]) -> None:
    assert over(layer, layer) == layer
    assert over(layer, {}) == layer


@given(st.lists(st.dictionaries(_KEYS, st.integers(), max_size=3), max_size=4))
def test_merge__layers_that_share_no_key__may_stand_in_any_order(layers: list[dict[str, int]]) -> None:
    apart = [{f"{index}{key}": value for key, value in layer.items()} for index, layer in enumerate(layers)]
    assert merge(apart) == merge(reversed(apart))


@given(st.lists(_LAYERS, min_size=1, max_size=4))
def test_merge__layers__are_left_as_they_were(layers: list[dict[str, Any]]) -> None:
    before = repr(layers)
    merge(layers)
    assert repr(layers) == before


@given(st.lists(_LAYERS, min_size=1, max_size=4))
def test_origins__every_merged_leaf__came_from_the_layer_that_is_named(layers: list[dict[str, Any]]) -> None:
    named = [LayerData(str(line), "f", data, places_of(data, line)) for line, data in enumerate(layers)]
    origins = Origins(named)
    for path, value in leaves(merge(layers)):
        origin = origins.of(path)
        assert origin is not None
        assert value_at(layers[int(origin.layer)], path) == value
        assert origin.line == int(origin.layer)


@pytest.mark.parametrize(
    ("low", "high", "on"),
    [
        (["transcoding", "ai"], ["reward"], {"reward"}),
        (["transcoding"], {"reward": True}, {"transcoding", "reward"}),
        (["transcoding", "reward"], {"reward": False}, {"transcoding"}),
        ({"transcoding": {"max_sessions": 2}}, ["transcoding"], {"transcoding"}),
        ({"transcoding": False}, ["transcoding"], {"transcoding"}),
        ({"transcoding": {"max_sessions": 2}}, [], set()),
    ],
)
def test_duties__list_chooses_and_mapping_adds(low: Any, high: Any, on: set[str]) -> None:
    layers = [normal({"duties": duties}, places_of({"duties": duties}, 1)) for duties in (high, low)]
    merged = merge(layers)["duties"]
    assert {duty for duty, settings in merged.items() if settings is not None} == on


def test_duties__list_over_settings__keeps_the_settings() -> None:
    low, high = {"duties": {"transcoding": {"max_sessions": 2}}}, {"duties": ["transcoding"]}
    layers = [normal(data, places_of(data, 1)) for data in (high, low)]
    assert merge(layers)["duties"] == {"transcoding": {"max_sessions": 2}}
