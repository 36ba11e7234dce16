"""From pydantic's errors to problems with positions, in the operator's words."""

import re
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from livefleet.spec.attribute_docs import attribute_docs
from livefleet.spec.problem import Problem, did_you_mean
from livefleet.spec.profile import Origin, Trail

__all__ = ["Locate", "dotted", "explain"]

Locate = Callable[[Trail, bool], Origin]
"""Position of a path: of its key where the second argument says so. Always answers, if need be with what is around."""

_MISSING = "missing"
_UNKNOWN = "extra_forbidden"
_KEY = "[key]"  # pydantic's mark for an error of a mapping's key


def explain(
    error: ValidationError, model: type[BaseModel], data: Any, locate: Locate, *, under: Trail = ()
) -> list[Problem]:
    """Each error once, at its place in the files. `data` is what was validated.

    `under` is the path of the host for which `data` was merged; its layers have been validated one by one before.
    """
    by_path: dict[Trail, list[Any]] = {}
    for item in error.errors(include_url=False):
        if under and (item["type"] == _UNKNOWN or item["loc"][-1:] == (_KEY,)):
            continue  # of a merged value: told where its layer stands
        by_path.setdefault(_data_path(item, data), []).append(item)
    problems = []
    for path, items in by_path.items():
        item = items[0]
        at_key = item["type"] == _UNKNOWN or item["loc"][-1:] == (_KEY,)
        origin = locate(path[:-1] if item["type"] == _MISSING else path, at_key or item["type"] == _MISSING)
        message, hint = _words(items, path, model, under)
        problems.append(Problem(origin.file, origin.line, origin.column, message, hint, dotted(under + path)))
    return problems


def dotted(path: Trail) -> str:
    """`hosts.gpu-1.models.0.price`."""
    return ".".join(str(part) for part in path)


def _data_path(item: Any, data: Any) -> Trail:
    """The error's location less what pydantic adds of its own (union members, `[key]`)."""
    path: list[str | int] = []
    for part in item["loc"]:
        inside_list = isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)
        if inside_list or (isinstance(data, dict) and part in data):
            data = data[part]
        elif item["type"] == _MISSING and part == item["loc"][-1]:
            pass
        else:
            continue
        path.append(part)
    return tuple(path)


def _words(items: list[Any], path: Trail, model: type[BaseModel], under: Trail) -> tuple[str, str]:
    item = items[0]
    name = _name(path)
    parent = under + path[:-1]
    around = f" in `{dotted(parent)}`" if parent else ""
    given = item["input"]
    match item["type"]:
        case "extra_forbidden":
            what = "duty" if len(path) > 1 and path[-2] == "duties" else "key"
            return f"unknown {what} `{name}`{around}", did_you_mean(name, _keys_at(model, path[:-1]))
        case "missing":
            return f"`{name}` is missing{around}", _description(model, path)
        case "enum" | "literal_error" if len(items) == 1:
            allowed = re.findall(r"'([^']*)'", str(item["ctx"]["expected"])) or [str(item["ctx"]["expected"])]
            return f"`{name}` cannot be {_shown(given)}", did_you_mean(str(given), allowed)
        case "string_pattern_mismatch" if item["loc"][-1] == _KEY:
            return f"`{name}` is not fit for a name", "use letters, digits, `.`, `_` and `-`, at most 63"
        case "string_pattern_mismatch":
            return f"`{name}` cannot be {_shown(given)}", _description(model, path)
        case "string_type" if isinstance(given, int | float | bool):
            return f"`{name}` must be text, not {_shown(given)}", f'write it in quotes: "{given}"'
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"`{name}` must be a mapping, not {_shown(given)}", "write its keys below it, indented"
        case "tuple_type" | "list_type" if len(items) == 1:
            return f"`{name}` must be a list, not {_shown(given)}", f"write [{given}]" if _plain(given) else ""
        case "value_error":
            where = path or under
            return f"`{where[-1]}`: {item['ctx']['error']}" if where else str(item["ctx"]["error"]), ""
    texts = " or ".join(
        dict.fromkeys(_lowered(one["msg"].removeprefix("Input ").replace("a valid tuple", "a list")) for one in items)
    )
    return f"`{name}` {texts}, not {_shown(given)}", _description(model, path) if len(items) > 1 else ""


def _name(path: Trail) -> str:
    if not path:
        return "the file"
    return f"{path[-2]}[{path[-1]}]" if isinstance(path[-1], int) and len(path) > 1 else str(path[-1])


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text if len(text) <= 60 else text[:57] + '...'}`"


def _keys_at(model: type[BaseModel], path: Trail) -> set[str]:
    return {name for found in _models_at(model, path) for name in found.model_fields}


def _description(model: type[BaseModel], path: Trail) -> str:
    """First sentence of the field's own documentation."""
    for found in _models_at(model, path[:-1]):
        text = " ".join(attribute_docs(found).get(str(path[-1]), "").split()) if path else ""
        if text:
            return _lowered(re.split(r"(?<=[^.])\.(?:\s|$)", text)[0])
    return ""


def _models_at(model: type[BaseModel], path: Trail) -> list[type[BaseModel]]:
    kinds: list[Any] = [model]
    for part in path:
        kinds = [inner for kind in kinds for inner in _step(kind, part)]
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _step(kind: Any, part: str | int) -> Iterator[Any]:
    """The types that `part` of a value of this type may have."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        if field is not None:
            yield from _members(field.annotation)
        return
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is dict:
        yield from _members(arguments[1])
    elif typing.get_origin(kind) in (tuple, list):
        yield from _members(arguments[0])


def _members(annotation: Any) -> Iterator[Any]:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _members(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from _members(member)
    else:
        yield annotation
