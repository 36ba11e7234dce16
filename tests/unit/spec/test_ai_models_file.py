"""go-livepeer's aiModels: every refusal in its words and at its place, and nothing lost on the way there and back."""

import contextlib
import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.spec import Currency, DeclaredPrice, ModelEntry, Pipeline, SpecError
from livefleet.spec.ai_models_entries import export_models, import_models
from livefleet.spec.ai_models_file import (
    AiModel,
    JsonNumber,
    parse_ai_models,
    parse_inline_ai_models,
    write_ai_models,
)

pytestmark = pytest.mark.unit

A = "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a"
EXAMPLE = """\
[
\t{"pipeline": "text-to-image", "model_id": "ByteDance/SDXL-Lightning", "price_per_unit": 4768371, "warm": true,
\t "optimization_flags": {"SFAST": true, "BACKEND": "x"}},
\t{"pipeline": "llm", "model_id": "meta-llama/llama-3.1-8B-Instruct", "price_per_unit": 0.18, "currency": "USD",
\t "pixels_per_unit": 1000000, "url": "http://llm_runner:8000", "token": "s3cret", "capacity": 4}
]
"""


def refusals(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse_ai_models(text, "aiModels.json")
    return [str(problem) for problem in caught.value.problems]


def import_refusals(*models: dict[str, Any], base: DeclaredPrice | None = None) -> list[str]:
    with pytest.raises(SpecError) as caught:
        import_models(parse_ai_models(json.dumps(models), "f"), "f", base_price=base)
    return [str(problem) for problem in caught.value.problems]


def a_model(**fields: Any) -> dict[str, Any]:
    return {"pipeline": "text-to-image", "model_id": "a/b"} | fields


def test_file__of_the_documentation__becomes_entries() -> None:
    imported = import_models(parse_ai_models(EXAMPLE, "f"), "f")

    picture, words = imported.entries
    assert picture == ModelEntry(
        pipeline=Pipeline.TEXT_TO_IMAGE,
        model_id="ByteDance/SDXL-Lightning",
        price=4768371,
        optimization={"SFAST": True, "BACKEND": "x"},
    )
    assert (words.url, words.token, words.capacity, words.warm) == ("http://llm_runner:8000", "ai-runner-1", 4, False)
    assert words.price == DeclaredPrice(Fraction(18, 10**8), Currency.USD)
    assert imported.tokens == {"ai-runner-1": "s3cret"}
    assert imported.notes == ()
    assert "s3cret" not in repr(imported)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "1:2: not JSON: "),
        ("{}", "1:1: json: cannot unmarshal object into Go value of type []core.AIModelConfig"),
        ('"x"', "1:1: json: cannot unmarshal string into Go value of type []core.AIModelConfig"),
        ("[3]", "1:2: json: cannot unmarshal number into Go value of type core.AIModelConfig"),
        ("[null]", "1:2: Pipeline is not valid capability: "),
        ("[" * 5000, "1:1: not a list of models: nested too deeply"),
        ('[{"pipeline": "x"}]', "1:15: Pipeline is not valid capability: x"),
        ('[{"pipeline": "byoc"}]', "1:15: Pipeline is not valid capability: byoc"),
        (
            '[{"pipeline": "Text-To-Image"}]',
            "1:15: Pipeline is not valid capability: Text-To-Image; write `text-to-image`",
        ),
        ('[{"pipeline": "llm", "price_per_unit": NaN}]', "1:40: invalid character 'N' looking for beginning of value"),
        ('[{"pipeline": "llm", "pipeline": "llm"}]', "1:22: key `pipeline` is given twice; first on line 1"),
    ],
)
def test_file__wrong__is_told_at_its_place(text: str, told: str) -> None:
    assert refusals(text)[0].startswith(f"aiModels.json:{told}")


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ('"warm": "yes"', "json: cannot unmarshal string into Go struct field AIModelConfig.warm of type bool"),
        ('"warm": 1', "json: cannot unmarshal number into Go struct field AIModelConfig.warm of type bool"),
        (
            '"capacity": 1.5',
            "json: cannot unmarshal number 1.5 into Go struct field AIModelConfig.capacity of type int",
        ),
        ('"capacity": 9223372036854775808', "json: cannot unmarshal number 9223372036854775808 into Go struct field "),
        ('"url": []', "json: cannot unmarshal array into Go struct field AIModelConfig.url of type string"),
        ('"price_per_unit": "0.5e-2USD"', 'value is not a number: "0.5e-2USD"; the currency is a field of its own'),
        ('"price_per_unit": 1e999999999', "value is not a number: 1e999999999"),
        (
            '"price_per_unit": -1.005',
            "'pricePerUnit' value specified for model 'a/b' in pipeline 'llm' must be a valid positive number, prov",
        ),
        (
            '"pixels_per_unit": 1.5',
            "'pixelsPerUnit' value specified for model 'a/b' in pipeline 'llm' must be a valid positive integer, ",
        ),
        ('"pixels_per_unit": 0', "'pixelsPerUnit' value specified for model 'a/b' in pipeline 'llm' must be a valid"),
        ('"optimization_flags": {"A": 1}', "json: cannot unmarshal number into Go value of type string"),
        (
            '"optimization_flags": [1]',
            "json: cannot unmarshal array into Go struct field AIModelConfig.optimization_fla",
        ),
    ],
)
def test_field__wrong__is_told_in_go_livepeers_words(field: str, told: str) -> None:
    name, _, value = field.partition(": ")
    inner = 6 if "{" in value else 0
    (problem,) = refusals(f'[\n {{"pipeline": "llm", "model_id": "a/b",\n  {field}}}\n]')
    assert problem.startswith(f"aiModels.json:3:{3 + len(name) + 2 + inner}: {told}"), problem


def test_price__below_nothing__is_told_with_two_decimals() -> None:
    (problem,) = refusals('[{"pipeline": "llm", "price_per_unit": -1.005}]')
    assert problem.endswith("must be a valid positive number, provided -1.01")


def test_price__null__is_told_at_its_key() -> None:
    (problem,) = refusals('[{"pipeline": "llm", "price_per_unit": null}]')
    assert problem == "aiModels.json:1:22: value is not a number: null"


def test_file__with_several_mistakes__tells_all() -> None:
    assert len(refusals('[{"pipeline": "x", "warm": 1}, {"pipeline": "llm", "capacity": "2"}, 7]')) == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("text-to-image:a/b", "-aiModels:1:1: invalid AI model config expected <pipeline>:<model_id>:<warm>"),
        ("llm:a:true,", "-aiModels:1:12: invalid AI model config expected <pipeline>:<model_id>:<warm>"),
        ("llm:a:true,llm:b:ja", '-aiModels:1:18: strconv.ParseBool: parsing "ja": invalid syntax'),
        ("llm:llama3:8b:true", '-aiModels:1:12: strconv.ParseBool: parsing "8b": invalid syntax; a model id with `:`'),
        ("x:a:true", "-aiModels:1:1: Pipeline is not valid capability: x"),
    ],
)
def test_inline__wrong__is_told_at_its_place(text: str, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_inline_ai_models(text)
    assert str(caught.value).startswith(told)


def test_inline__right__is_read() -> None:
    assert parse_inline_ai_models("text-to-image:a/b:T,llm:c:0:ignored") == (
        AiModel("text-to-image", "a/b", warm=True),
        AiModel("llm", "c"),
    )


@pytest.mark.parametrize(
    ("models", "told"),
    [
        (
            [a_model(warm=True), a_model()],
            "f:1:66: Cannot have same model_id (a/b) as cold and warm in same AI worker, please fix aiModels json",
        ),
        (
            [a_model(price_per_unit=1), a_model(model_id="c")],
            "f:1:73: 'pricePerUnit' must be set for model 'c' in pipeline 'text-to-image'",
        ),
        (
            [a_model(price_per_unit=1, currency="EUR")],
            "f:1:84: error converting price: price feed does not have EUR as a currency (ETH/USD); known: wei",
        ),
        ([a_model(gateway="me")], "f:1:62: `gateway` is no address: me"),
        (
            [a_model(gateway=A, price_per_unit=1)],
            "f:1:62: model 'a/b' has no price for gateways that are not named",
        ),
        ([a_model(url="llm_runner:8000")], "f:1:58: `url` cannot be `llm_runner:8000`"),
        ([a_model(model_id="")], "f:1:44: `model_id` "),
        (
            [a_model(optimization_flags={"SFAST": True, "DEEPCACHE": True})],
            "f:1:73: `optimization`: SFAST and DEEPCACHE exclude each other",
        ),
    ],
)
def test_import__contradiction__is_told_at_its_place(models: list[dict[str, Any]], told: str) -> None:
    assert import_refusals(*models)[0].startswith(told), import_refusals(*models)


def test_import__base_price_of_nothing__is_refused_where_a_model_has_none() -> None:
    (problem,) = import_refusals(a_model(), base=DeclaredPrice(Fraction(0)))
    assert problem.endswith("'pricePerUnit' must be set for model 'a/b' in pipeline 'text-to-image'")


def test_import__model_listed_again_and_priced_for_a_gateway__is_one_entry() -> None:
    models = [
        a_model(price_per_unit=5),
        a_model(),
        a_model(gateway=A.upper().replace("0X", "0x"), price_per_unit=2, currency="eth", pixels_per_unit=10**15),
        a_model(url="http://x", capacity=3, price_per_unit=5),
    ]

    imported = import_models(
        parse_ai_models(json.dumps(models), "f"), "f", base_price=DeclaredPrice(Fraction(5), Currency.WEI)
    )

    ours, outside = imported.entries
    assert (ours.capacity, outside.capacity) == (3, 3)
    assert ours.gateways == outside.gateways == {A: DeclaredPrice(Fraction(2000))}
    assert ours.price == DeclaredPrice(Fraction(5))


def test_import__what_is_not_taken_over__is_noted_at_its_place() -> None:
    models = [
        a_model(note="mine", capacity=2, optimization_flags={"BFLOAT16": False}),
        a_model(pipeline="live-video-to-video", model_id="noop"),
        a_model(token="t", model_id="c"),
    ]

    imported = import_models(parse_ai_models(json.dumps(models), "f"), "f")

    assert [entry.model_id for entry in imported.entries] == ["a/b", "c"]
    assert [str(note).split("; ")[0].split(": ", 1)[1][:44] for note in imported.notes] == [
        "unknown key `note` says nothing to go-livepe",
        "go-livepeer starts 2 containers and offers o",
        "ai-runner switches `BFLOAT16` on by `False` ",
        "`live-video-to-video` is no pipeline of mode",
        "a token without a url is sent to nobody",
    ]
    assert imported.tokens == {}


names = st.text("abc/-1", min_size=1, max_size=8)
digits = st.integers(0, 10**24).map(str) | st.decimals(0, 10**9, places=6).map(str)
numbers = st.builds(JsonNumber, digits | st.just("0.5e-2") | st.just("1E+3"))
written = st.builds(
    AiModel,
    pipeline=st.sampled_from([*Pipeline, "live-video-to-video", "Text-to-image"]).map(str),
    model_id=st.text(max_size=8),
    url=st.text(max_size=8),
    token=st.text(max_size=8),
    warm=st.booleans(),
    capacity=st.integers(-3, 9),
    optimization_flags=st.dictionaries(st.text(max_size=5), st.booleans() | st.text(max_size=5), max_size=3),
    gateway=st.sampled_from(["", "default", A]),
    price_per_unit=st.none() | numbers,
    pixels_per_unit=st.none() | st.integers(1, 10**20).map(str).map(JsonNumber),
    currency=st.text(max_size=4),
    unknown=st.dictionaries(
        st.text("xyzé", min_size=1, max_size=4),
        st.recursive(st.none() | st.booleans() | st.text(max_size=5) | numbers, lambda s: st.lists(s, max_size=2)),
        max_size=2,
    ),
)


@given(st.lists(written, max_size=4))
def test_file__written__is_read_back_with_every_digit_and_unknown_key(models: list[AiModel]) -> None:
    assert list(parse_ai_models(write_ai_models(models), "f")) == models


entries = st.builds(
    ModelEntry,
    pipeline=st.sampled_from(Pipeline),
    model_id=names,
    url=st.none() | st.just("http://10.0.0.1:8000/x"),
    warm=st.booleans(),
    capacity=st.integers(2, 5),
    optimization=st.dictionaries(st.sampled_from(["SFAST", "BACKEND"]), st.booleans() | st.just("x"), max_size=2),
    price=st.builds(DeclaredPrice, st.fractions(0, 10**12), st.sampled_from(Currency)),
    gateways=st.none() | st.dictionaries(st.just(A), st.builds(DeclaredPrice, st.fractions(0, 9)), min_size=1),
)


@given(st.lists(entries, max_size=4, unique_by=lambda entry: (entry.pipeline, entry.model_id)))
def test_entries__exported_and_imported__are_the_same(ours: list[ModelEntry]) -> None:
    exported = export_models(ours, {})

    imported = import_models(parse_ai_models(write_ai_models(exported.models), "f"), "f")

    assert list(imported.entries) == ours
    assert imported.notes == ()


def test_export__token_and_what_the_file_cannot_say() -> None:
    entry = ModelEntry(
        pipeline=Pipeline.LLM, model_id="a", url="http://x", token="runner", priority=2, gateways={A: 1}, price=2
    )  # fmt: skip

    left_out, with_token = export_models([entry], {}), export_models([entry], {"runner": "s3cret"})

    assert left_out.notes == (
        "a: the file cannot say priority",
        "a: its token is left out",
        "a: go-livepeer will offer 2 places: each price of a gateway is one more",
    )
    assert [model.token for model in with_token.models] == ["s3cret", "s3cret"]
    assert "s3cret" not in repr(with_token)


@given(st.text(max_size=60) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_anything__is_read_or_refused(text: str) -> None:
    with contextlib.suppress(SpecError):
        assert isinstance(parse_ai_models(text, "f"), tuple)
    with contextlib.suppress(SpecError):
        assert isinstance(parse_inline_ai_models(text), tuple)
