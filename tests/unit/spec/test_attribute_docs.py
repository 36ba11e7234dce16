"""Documentation of models' fields, read from their source when it is asked for."""

import sys
from typing import Generic, TypeVar

import pytest

from livefleet.spec import fleet_schema
from livefleet.spec.attribute_docs import attribute_docs
from livefleet.spec.model import SpecModel

pytestmark = pytest.mark.unit

T = TypeVar("T")


class Layer(SpecModel):
    """A layer."""

    plain: int = 0
    told: int = 0
    """Told here,
    in two lines."""

    again: int | None = None
    """Told by the layer."""


class Whole(Layer):
    """The whole."""

    again: int
    """Told by the whole."""


class Holder(SpecModel, Generic[T]):
    """Of something."""

    value: T
    """What is held."""


def test_docs__are_the_fields_own_or_inherited():
    assert attribute_docs(Layer) == {"told": "Told here,\nin two lines.", "again": "Told by the layer."}
    assert attribute_docs(Whole) == {"told": "Told here,\nin two lines.", "again": "Told by the whole."}


def test_docs__of_a_generic_model__are_those_of_its_source():
    assert attribute_docs(Holder[int]) == {"value": "What is held."}


def test_docs__no_source__are_none():
    made = type("Made", (SpecModel,), {"__module__": "nowhere", "__annotations__": {"x": int}})
    sys.modules["nowhere"] = type(sys)("nowhere")
    try:
        assert attribute_docs(made) == {}
    finally:
        del sys.modules["nowhere"]


def test_schema__has_them():
    assert Whole.model_json_schema()["properties"]["again"]["description"] == "Told by the whole."
    assert "description" not in Whole.model_json_schema()["properties"]["plain"]
    smoke = fleet_schema()["$defs"]["SmokeSettings"]["properties"]
    assert all(field["description"] for field in smoke.values())
