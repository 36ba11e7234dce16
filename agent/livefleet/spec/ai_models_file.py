"""go-livepeer's `-aiModels`: the JSON file and the inline list, read with positions and written back without loss.

`[{"pipeline": "text-to-image", "model_id": "a/b", "warm": true, "price_per_unit": 0.5, "currency": "USD"}]` or
`text-to-image:a/b:true,llm:c/d:false`. What go-livepeer refuses is refused in its own words (`core/ai.go`,
`starter.go`), each mistake at its place; what it ignores (unknown keys) is kept. Numbers keep their digits.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from livefleet.spec.document import Place, parse_document
from livefleet.spec.problem import Problem, SpecError
from livefleet.spec.profile import Trail

__all__ = ["DEFAULT_GATEWAY", "AiModel", "JsonNumber", "parse_ai_models", "parse_inline_ai_models", "write_ai_models"]

DEFAULT_GATEWAY: Final = "default"

_MAX_DIGITS: Final = 80  # exponents included: numbers are made exact, and 1e999999999 would be a gigabyte
_MAX_DEPTH: Final = 40
_FIELDS: Final = {
    "pipeline": "string", "model_id": "string", "url": "string", "token": "string", "warm": "bool", "capacity": "int",
    "optimization_flags": "map", "gateway": "string", "price_per_unit": "rat", "pixels_per_unit": "rat",
    "currency": "string",
}  # fmt: skip
_CAPABILITIES: Final = frozenset({
    "Text to image", "Image to image", "Image to video", "Upscale", "Audio to text", "Segment anything 2", "Llm",
    "Image to text", "Live video to video", "Text to speech",
})  # fmt: skip
_INLINE_FAULT: Final = "invalid AI model config expected <pipeline>:<model_id>:<warm>"
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ODD: Final = re.compile("[^\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_MAX_INT: Final = 2**63


@dataclass(frozen=True, slots=True)
class JsonNumber:
    """A JSON number by its text; `value` is exact."""

    text: str

    @property
    def value(self) -> Fraction:
        """The number. The reader has refused those with too many digits."""
        return Fraction(Decimal(self.text))


@dataclass(frozen=True, slots=True)
class AiModel:
    """One entry as it is written."""

    pipeline: str
    model_id: str
    url: str = ""
    token: str = field(default="", repr=False)
    warm: bool = False
    capacity: int = 0
    optimization_flags: Mapping[str, str | bool] = field(default_factory=dict)
    gateway: str = ""  # lower case; empty or `default`: every gateway that is not named elsewhere
    price_per_unit: JsonNumber | None = None
    pixels_per_unit: JsonNumber | None = None
    currency: str = ""
    unknown: Mapping[str, Any] = field(default_factory=dict)  # what go-livepeer does not read
    place: Place = field(default_factory=lambda: Place(1, 1), compare=False, repr=False)

    @property
    def is_default(self) -> bool:
        """Whether its price is for every gateway."""
        return self.gateway in {"", DEFAULT_GATEWAY}

    def where(self, name: str) -> Place:
        """Position of a field, else of the entry."""
        return next((spot for key, spot in self.place.children.items() if str(key).lower() == name), self.place)


def parse_ai_models(text: str, file: str) -> tuple[AiModel, ...]:
    """The entries of a JSON file. Raises SpecError with every mistake."""
    if _depth(text) > _MAX_DEPTH:
        raise SpecError([Problem(file, 1, 1, "not a list of models: nested too deeply")])
    try:
        data = json.loads(text, parse_float=JsonNumber, parse_int=JsonNumber, parse_constant=_NotJson)
    except json.JSONDecodeError as error:
        raise SpecError([Problem(file, error.lineno, error.colno, f"not JSON: {error.msg}")]) from error
    # YAML's reader knows positions. What it refuses or breaks lines at, and JSON does not, is one column wide in both.
    flat = text.replace("\t", " ")
    plain = _ODD.sub("?", flat)
    document = parse_document(plain, file)
    reader = _Reader(file, document.place)
    models = tuple(reader.models(data))
    twice = [problem for problem in document.problems if "twice" in problem.message and plain == flat]
    if problems := [*twice, *reader.problems]:
        raise SpecError(problems)
    return models


def parse_inline_ai_models(text: str, shown_as: str = "-aiModels") -> tuple[AiModel, ...]:
    """The entries of an inline list. Raises SpecError; columns count from its begin."""
    models, problems = [], []
    column = 1
    for part in text.split(","):
        words = part.split(":")
        here = Place(1, column)
        if len(words) < 3:
            problems.append(Problem(shown_as, 1, column, _INLINE_FAULT))
        elif words[2] not in _TRUE | _FALSE:
            at = column + len(words[0]) + len(words[1]) + 2
            hint = "a model id with `:` can only be written in a JSON file" if len(words) > 3 else ""
            fault = f'strconv.ParseBool: parsing "{words[2]}": invalid syntax'
            problems.append(Problem(shown_as, 1, at, fault, hint))
        elif not _is_capability(words[0]):
            problems.append(_no_capability(words[0], shown_as, here))
        else:
            models.append(AiModel(words[0], words[1], warm=words[2] in _TRUE, place=here))
        column += len(part) + 1
    if problems:
        raise SpecError(problems)
    return tuple(models)


def write_ai_models(models: Iterable[AiModel]) -> str:
    """The file's text: what `parse_ai_models` reads back as equal entries. Tokens stand in it."""
    return _json([_plain(model) for model in models], "") + "\n"


def _plain(model: AiModel) -> dict[str, Any]:
    said = {
        name: getattr(model, name)
        for name in _FIELDS
        if name not in {"pipeline", "model_id"} and getattr(model, name) not in ("", 0, False, None, {})
    }
    if "capacity" in said:
        said["capacity"] = JsonNumber(str(model.capacity))
    return {"pipeline": model.pipeline, "model_id": model.model_id, **said, **model.unknown}


def _json(value: Any, indent: str) -> str:
    """JSON with numbers as they were written."""
    deeper = indent + "  "
    if isinstance(value, JsonNumber):
        return value.text
    if isinstance(value, dict | list) and value:
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        items = (
            [f"{json.dumps(key, ensure_ascii=False)}: {_json(inner, deeper)}" for key, inner in value.items()]
            if isinstance(value, dict)
            else [_json(inner, deeper) for inner in value]
        )
        return f"{opening}\n{deeper}" + f",\n{deeper}".join(items) + f"\n{indent}{closing}"
    return json.dumps(value, ensure_ascii=False)


def _depth(text: str) -> int:
    """How deep brackets nest: the reader recurses in C."""
    depth = deepest = 0
    for char in _STRING.sub("", text):
        if char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def _is_capability(pipeline: str) -> bool:
    return (pipeline[:1].upper() + pipeline[1:]).replace("-", " ") in _CAPABILITIES


def _no_capability(pipeline: str, file: str, place: Place) -> Problem:
    near = pipeline.lower()
    hint = f"write `{near}`" if near != pipeline and _is_capability(near) else ""
    return Problem(file, place.line, place.column, f"Pipeline is not valid capability: {pipeline}", hint)


@dataclass(frozen=True, slots=True)
class _NotJson:
    """`NaN`, `Infinity`: Python's reader takes them, JSON has no such thing."""

    text: str


class _Reader:
    """One reading: collects problems until the end."""

    def __init__(self, file: str, place: Place) -> None:
        self._file = file
        self._place = place
        self.problems: list[Problem] = []

    def models(self, data: Any) -> Iterator[AiModel]:
        for trail, found in _all_not_json(data, ()):
            self._problem(trail, f"invalid character '{found.text[0]}' looking for beginning of value")
        if self.problems or data is None:
            return
        if not isinstance(data, list):
            fault = f"json: cannot unmarshal {_kind(data)} into Go value of type []core.AIModelConfig"
            self._problem((), fault, 'write [{"pipeline": "text-to-image", "model_id": "owner/name", "warm": true}]')
            return
        for index, entry in enumerate(data):
            if entry is not None and not isinstance(entry, dict):
                self._problem(
                    (index,), f"json: cannot unmarshal {_kind(entry)} into Go value of type core.AIModelConfig"
                )
                continue
            model = self._model(entry or {}, index)
            if model is not None:
                yield model

    def _model(self, entry: dict[str, Any], index: int) -> AiModel | None:
        before = len(self.problems)
        fields: dict[str, Any] = {}
        unknown: dict[str, Any] = {}
        paths: dict[str, Trail] = {}
        for key, value in entry.items():
            name = key.lower()  # as Go's decoder matches them
            if name not in _FIELDS:
                unknown[key] = value
                continue
            paths[name] = (index, key)
            if (read := self._field(name, value, (index, key))) is not None:
                fields[name] = read
        place = self._place.children[index]
        model = AiModel(**{"pipeline": "", "model_id": "", **fields}, unknown=unknown, place=place)
        if len(self.problems) == before:
            self._check(model, paths, (index,))
        return model if len(self.problems) == before else None

    def _check(self, model: AiModel, paths: Mapping[str, Trail], entry: Trail) -> None:
        if not _is_capability(model.pipeline):
            place = self._at(paths.get("pipeline", entry))
            self.problems.append(_no_capability(model.pipeline, self._file, place))
        who = f"for model '{model.model_id}' in pipeline '{model.pipeline}'"
        pixels, price = model.pixels_per_unit, model.price_per_unit
        if pixels is not None and (pixels.value.denominator != 1 or pixels.value <= 0):
            fault = f"'pixelsPerUnit' value specified {who} must be a valid positive integer, provided {_fixed(pixels)}"
            self._problem(paths["pixels_per_unit"], fault)
        if price is not None and price.value < 0:
            fault = f"'pricePerUnit' value specified {who} must be a valid positive number, provided {_fixed(price)}"
            self._problem(paths["price_per_unit"], fault)

    def _field(self, name: str, value: Any, path: Trail) -> Any:
        """The value in our types; None where it says nothing, or is refused."""
        match _FIELDS[name], value:
            case "rat", JsonNumber():
                if _is_small(value):
                    return value
                self._problem(path, f"value is not a number: {value.text[:60]}", "no price has so many digits")
            case "rat", _:
                hint = "the currency is a field of its own, `currency`" if isinstance(value, str) else ""
                self._problem(path, f"value is not a number: {_json(value, '')}", hint)
            case _, None:
                pass
            case "string", str():
                return value.lower() if name == "gateway" else value
            case "bool", bool():
                return value
            case "int", JsonNumber() if re.fullmatch(r"-?[0-9]{1,19}", value.text) and abs(int(value.text)) < _MAX_INT:
                return int(value.text)
            case "map", dict():
                return self._flags(value, path)
            case kind, _:
                literal = f" {value.text}" if kind == "int" and isinstance(value, JsonNumber) else ""
                into = "worker.OptimizationFlags" if kind == "map" else kind
                self._problem(
                    path,
                    f"json: cannot unmarshal {_kind(value)}{literal} into Go struct field AIModelConfig.{name} "
                    f"of type {into}",
                )
        return None

    def _flags(self, flags: dict[str, Any], path: Trail) -> dict[str, str | bool]:
        read: dict[str, str | bool] = {}
        for key, value in flags.items():
            if value is None:
                read[key] = False
            elif isinstance(value, str | bool):
                read[key] = value
            else:
                fault = f"json: cannot unmarshal {_kind(value)} into Go value of type string"
                self._problem((*path, key), fault, "write it in quotes")
        return read

    def _at(self, path: Trail) -> Place:
        place = self._place
        for key in path:
            place = place.children.get(key, place)
        return place

    def _problem(self, path: Trail, message: str, hint: str = "") -> None:
        place = self._at(path)
        self.problems.append(Problem(self._file, place.line, place.column, message, hint))


def _all_not_json(value: Any, trail: Trail) -> Iterator[tuple[Trail, _NotJson]]:
    if isinstance(value, _NotJson):
        yield trail, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _all_not_json(inner, (*trail, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _all_not_json(inner, (*trail, index))


def _is_small(number: JsonNumber) -> bool:
    digits = Decimal(number.text).as_tuple()
    return isinstance(digits.exponent, int) and len(digits.digits) + abs(digits.exponent) <= _MAX_DIGITS


def _fixed(number: JsonNumber) -> str:
    """With two decimals, as go-livepeer prints it (half away from zero)."""
    cents = abs(number.value) * 100
    whole = (cents.numerator * 2 + cents.denominator) // (cents.denominator * 2)
    return f"{'-' if number.value < 0 else ''}{whole // 100}.{whole % 100:02}"


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case JsonNumber():
            return "number"
        case list():
            return "array"
        case _:
            return "object"
