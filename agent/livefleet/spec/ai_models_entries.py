"""Between go-livepeer's aiModels and this project's model entries.

An entry of the file is one container; ours is one place that serves a model. So entries of the same pipeline, model and
URL become one whose capacity is their sum, and the prices that they name for gateways become its `gateways`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from pydantic import ValidationError

from livefleet.spec.ai import ModelEntry, Pipeline
from livefleet.spec.ai_models_file import DEFAULT_GATEWAY, AiModel, JsonNumber
from livefleet.spec.declared_price import Currency, DeclaredPrice
from livefleet.spec.document import Place
from livefleet.spec.explain import explain
from livefleet.spec.optimization import switched_on_by_false
from livefleet.spec.pricing import is_address
from livefleet.spec.problem import Problem, SpecError
from livefleet.spec.profile import Origin, Trail

__all__ = ["ExportedModels", "ImportedModels", "export_models", "import_models"]

_WARM_AND_COLD: Final = "as cold and warm in same AI worker, please fix aiModels json config"
_FACTORS: Final = {"": 1, "wei": 1, "eth": 10**18, "usd": 1}
_FIELD_NAMES: Final = {"price": "price_per_unit", "gateways": "gateway", "optimization": "optimization_flags"}


@dataclass(frozen=True, slots=True)
class ImportedModels:
    """What a file says, in our terms."""

    entries: tuple[ModelEntry, ...]
    tokens: Mapping[str, str] = field(repr=False)  # by the name of the secret that entries have in their place
    notes: tuple[Problem, ...]  # what is not taken over, or is taken over otherwise than go-livepeer has it


@dataclass(frozen=True, slots=True)
class ExportedModels:
    """What entries say, in go-livepeer's terms."""

    models: tuple[AiModel, ...] = field(repr=False)
    notes: tuple[str, ...]  # what the file cannot say


def import_models(models: Sequence[AiModel], file: str, *, base_price: DeclaredPrice | None = None) -> ImportedModels:
    """Read entries of the file as ours. Raises SpecError with every contradiction.

    Args:
        models: The file's entries.
        file: Its name, for messages.
        base_price: What models without a price cost: go-livepeer's `-pricePerUnit`. None: models without a price are
            only right where no model has one, as on a worker.
    """
    reading = _Import(models, file, base_price)
    entries = tuple(reading.entries())
    if reading.problems:
        raise SpecError(reading.problems)
    return ImportedModels(entries, reading.tokens, tuple(sorted(set(reading.notes))))


def export_models(entries: Sequence[ModelEntry], tokens: Mapping[str, str]) -> ExportedModels:
    """Write our entries as the file's; a token that is not in `tokens` is left out and told."""
    notes: list[str] = []
    priced: set[tuple[str, str]] = set()
    models: list[AiModel] = []
    for entry in entries:
        named = (entry.pipeline.value, entry.model_id) not in priced
        models += _exported(entry, tokens, with_gateways=named)
        priced.add((entry.pipeline.value, entry.model_id))
        notes += [f"{entry.model_id}: {note}" for note in _unsaid(entry, tokens)]
    return ExportedModels(tuple(models), tuple(notes))


class _Import:
    """One import: collects problems and notes until the end."""

    def __init__(self, models: Sequence[AiModel], file: str, base_price: DeclaredPrice | None) -> None:
        self._models = models
        self._file = file
        self._base_price = base_price
        self._is_priced = base_price is not None or any(model.price_per_unit is not None for model in models)
        self.tokens: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []

    def entries(self) -> Iterator[ModelEntry]:
        groups: dict[tuple[str, str, str], list[AiModel]] = {}
        warmth: dict[tuple[str, str], AiModel] = {}
        for model in self._models:
            self._note_unread(model)
            pipeline = model.pipeline[:1].lower() + model.pipeline[1:].replace(" ", "-")
            if pipeline not in set(Pipeline):
                self._note(model, "pipeline", f"`{model.pipeline}` is no pipeline of model entries; left out")
                continue
            first = warmth.setdefault((pipeline, model.model_id), model)
            if first.warm is not model.warm:
                self._refuse(model, "warm", f"Cannot have same model_id ({model.model_id}) {_WARM_AND_COLD}")
            groups.setdefault((pipeline, model.model_id, model.url), []).append(model)
        prices: dict[tuple[str, str], dict[str, DeclaredPrice]] = {}
        for (pipeline, model_id, _), group in groups.items():
            self._take_prices(group, prices.setdefault((pipeline, model_id), {}))
        for (pipeline, model_id, _), group in groups.items():
            entry = self._entry(pipeline, group, prices[pipeline, model_id])
            if entry is not None:
                yield entry

    def _entry(self, pipeline: str, group: list[AiModel], prices: dict[str, DeclaredPrice]) -> ModelEntry | None:
        first = group[0]
        data: dict[str, Any] = {
            "pipeline": pipeline,
            "model_id": first.model_id,
            "warm": first.warm,
            "capacity": sum(self._capacity(model) for model in group),
        }
        if first.url:
            data["url"] = first.url
        if tokens := [model.token for model in group if model.token]:
            if first.url:
                data["token"] = self._secret(tokens[0])
            else:
                self._note(first, "token", "a token without a url is sent to nobody; left out")
        flags = self._flags(group)
        if flags:
            data["optimization"] = flags
        if DEFAULT_GATEWAY in prices:
            data["price"] = prices[DEFAULT_GATEWAY]
        elif self._is_priced and not self.problems:
            hint = "add an entry without `gateway`, or say what `-pricePerUnit` is"
            self._refuse(
                first, "gateway", f"model '{first.model_id}' has no price for gateways that are not named", hint
            )
        if gateways := {gateway: price for gateway, price in prices.items() if gateway != DEFAULT_GATEWAY}:
            data["gateways"] = gateways
        if self.problems:
            return None
        try:
            return ModelEntry.model_validate(data)
        except ValidationError as error:

            def locate(path: Trail, at_key: bool) -> Origin:  # noqa: ARG001 -- entries' own position serves for both
                spot = first.where(_FIELD_NAMES.get(str(path[0]), str(path[0])) if path else "")
                return Origin("", self._file, spot.line, spot.column)

            self.problems += explain(error, ModelEntry, data, locate)
            return None

    def _take_prices(self, group: list[AiModel], prices: dict[str, DeclaredPrice]) -> None:
        for model in group:
            gateway = DEFAULT_GATEWAY if model.is_default else model.gateway
            if gateway != DEFAULT_GATEWAY and not is_address(gateway):
                self._refuse(model, "gateway", f"`gateway` is no address: {gateway}", "write 0x and 40 hex digits")
                continue
            price = self._price(model)
            if price is None:
                continue
            if prices.setdefault(gateway, price) != price:
                self._note(model, "price_per_unit", f"another price for {gateway} stands before; this one counts")
            prices[gateway] = price

    def _price(self, model: AiModel) -> DeclaredPrice | None:
        who = f"for model '{model.model_id}' in pipeline '{model.pipeline}'"
        units = Fraction(1) if model.pixels_per_unit is None else model.pixels_per_unit.value
        if model.price_per_unit is None:
            if not self._is_priced:
                return None
            if self._base_price is None or self._base_price.amount == 0:
                self._refuse(model, "", f"'pricePerUnit' must be set {who}")
                return None
            return DeclaredPrice(self._base_price.amount / units, self._base_price.currency)
        factor = _FACTORS.get(model.currency.lower())
        if factor is None:
            fault = f"error converting price: price feed does not have {model.currency.upper()} as a currency (ETH/USD)"
            self._refuse(model, "currency", fault, "known: wei, eth, USD")
            return None
        currency = Currency.USD if model.currency.lower() == "usd" else Currency.WEI
        return DeclaredPrice(model.price_per_unit.value * factor / units, currency)

    def _capacity(self, model: AiModel) -> int:
        if model.capacity > 1 and not model.url:
            text = f"go-livepeer starts {model.capacity} containers and offers one place; taken over as so many places"
            self._note(model, "capacity", text)
        return max(model.capacity, 1)

    def _flags(self, group: list[AiModel]) -> dict[str, str | bool]:
        flags: dict[str, str | bool] = {}
        for model in group:
            for name, value in model.optimization_flags.items():
                if switched_on_by_false(name, value):
                    self._note(
                        model, "optimization_flags", f"ai-runner switches `{name}` on by `{value}` too; left out"
                    )
                elif flags.setdefault(name, value) != value:
                    self._note(model, "optimization_flags", f"another `{name}` stands before; the first is taken")
        return flags

    def _secret(self, token: str) -> str:
        for name, known in self.tokens.items():
            if known == token:
                return name
        name = f"ai-runner-{len(self.tokens) + 1}"
        self.tokens[name] = token
        return name

    def _note_unread(self, model: AiModel) -> None:
        for key in model.unknown:
            spot = model.place.children.get(key, model.place)
            text = f"unknown key `{key}` says nothing to go-livepeer either; left out"
            self.notes.append(Problem(self._file, spot.key_line, spot.key_column, text))

    def _note(self, model: AiModel, name: str, text: str) -> None:
        spot = model.where(name)
        self.notes.append(Problem(self._file, spot.line, spot.column, text))

    def _refuse(self, model: AiModel, name: str, text: str, hint: str = "") -> None:
        spot: Place = model.where(name)
        self.problems.append(Problem(self._file, spot.line, spot.column, text, hint))


def _exported(entry: ModelEntry, tokens: Mapping[str, str], *, with_gateways: bool) -> list[AiModel]:
    """One entry for each container and gateway; together they offer the entry's capacity where it is large enough."""
    gateways = dict(entry.gateways or {}) if with_gateways else {}
    url = entry.url or ""
    own = max(entry.capacity - len(gateways), 1)

    def model(gateway: str, price: DeclaredPrice, capacity: int) -> AiModel:
        return AiModel(
            pipeline=entry.pipeline.value,
            model_id=entry.model_id,
            url=url,
            token=tokens.get(entry.token or "", ""),
            warm=entry.warm,
            capacity=capacity,
            optimization_flags=dict(entry.optimization),
            gateway=gateway,
            price_per_unit=JsonNumber(str(price.amount.numerator)),
            pixels_per_unit=None if price.amount.denominator == 1 else JsonNumber(str(price.amount.denominator)),
            currency="USD" if price.currency is Currency.USD else "",
        )

    named = [model(address.lower(), price, 0) for address, price in gateways.items()]
    if url:
        return [model("", entry.price, own if own > 1 else 0), *named]
    # A managed entry offers one place whatever its capacity says, so there is one for each place.
    return [*(model("", entry.price, 0) for _ in range(own)), *named]


def _unsaid(entry: ModelEntry, tokens: Mapping[str, str]) -> Iterator[str]:
    said = entry.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    ours = (
        "source",
        "revision",
        "device",
        "dtype",
        "loras",
        "controlnet",
        "safety_check",
        "safety_checker",
        "priority",
        "memory",
    )
    if lost := [name for name in ours if name in said]:
        yield f"the file cannot say {', '.join(lost)}"
    if entry.token is not None and entry.token not in tokens:
        yield "its token is left out"
    if entry.gateways and entry.capacity <= len(entry.gateways):
        yield f"go-livepeer will offer {len(entry.gateways) + 1} places: each price of a gateway is one more"
    if entry.optimization and not entry.warm:
        yield "go-livepeer heeds optimization flags of warm models only"
