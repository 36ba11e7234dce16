"""The JSON Schema of fleet.yaml, made from the models, so that editors know what operators may write."""

from typing import Any

from livefleet.spec.fleet import FleetSpec
from livefleet.spec.network import NetworkName
from livefleet.spec.roles import Duties

__all__ = ["fleet_schema"]


def fleet_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a fleet file, with every field's documentation and the short forms."""
    schema = _tidy(FleetSpec.model_json_schema())
    definitions = schema["$defs"]
    definitions["Network"] = _or(
        definitions["Network"],
        {"type": "string", "enum": [name.value for name in NetworkName], "title": "Just the name"},
    )
    for section in ("FirewallSettings", "MachineSettings"):
        mode = definitions[section]["properties"]["mode"]
        definitions[section] = _or(definitions[section], {"enum": mode["enum"], "title": "Just the mode"})
    duties = definitions["Duties"]
    for duty in duties["properties"].values():
        duty["anyOf"].append({"type": "boolean"})
    names = {
        "type": "array",
        "items": {"enum": list(Duties.model_fields)},
        "uniqueItems": True,
        "title": "Just the names",
    }
    definitions["Duties"] = _or(duties, names)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "livefleet fleet file",
    }


def _or(full: dict[str, Any], short: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [full, short], "description": full["description"]}


def _tidy(value: Any) -> Any:
    """Descriptions on one line: editors show them as they are."""
    if isinstance(value, dict):
        return {
            key: " ".join(inner.split()) if key == "description" and isinstance(inner, str) else _tidy(inner)
            for key, inner in value.items()
        }
    return [_tidy(inner) for inner in value] if isinstance(value, list) else value
