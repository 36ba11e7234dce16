"""A fleet file with hosts that it does not declare itself, such as those that have enrolled."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from livefleet.spec.document import Document, Place

__all__ = ["with_hosts"]


def with_hosts(document: Document, hosts: Mapping[str, Mapping[str, Any]]) -> Document:
    """The document as if its `hosts` ended with these; one that it has already stays as it is."""
    declared = document.data.get("hosts") if isinstance(document.data, dict) else None
    if not hosts or not isinstance(declared, dict):
        return document  # whatever is wrong with it, is told where files are checked
    top = document.place
    section = _copy(top.children["hosts"])
    added = {name: dict(layer) for name, layer in hosts.items() if name not in declared}
    for name, layer in added.items():
        section.children[name] = _place(layer, section)
    place = _copy(top)
    place.children["hosts"] = section
    return replace(document, data={**document.data, "hosts": {**declared, **added}}, place=place)


def _copy(place: Place) -> Place:
    copied = Place(place.line, place.column, place.key_line, place.key_column)
    copied.children = dict(place.children)
    return copied


def _place(value: Any, at: Place) -> Place:
    """All of it stands where `hosts` stands."""
    place = Place(at.key_line, at.key_column)
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    place.children = {key: _place(inner, at) for key, inner in items}
    return place
