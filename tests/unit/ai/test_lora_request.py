import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.ai.pipelines.lora_request import MAX_LORAS, lora_strengths

pytestmark = pytest.mark.unit

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=6),
)


@pytest.mark.parametrize(
    ("text", "strengths"),
    [
        ("", {}),
        ("{}", {}),
        ('{"nerijs/pixel-art-xl": 1.2, "own": "0.5"}', {"nerijs/pixel-art-xl": 1.2, "own": 0.5}),
        ('{"a/b": 0}', {"a/b": 0.0}),
    ],
)
def test_strengths__good_text__are_by_name(text: str, strengths: dict[str, float]):
    assert lora_strengths(text) == strengths


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "Unable to parse '{' as JSON."),
        ("[]", "Unable to parse '[]' as JSON."),
        ("[" * 100_000, "Unable to parse"),
        ('{"a/b": -1}', "All strengths must be numbers greater than or equal to 0.0."),
        ('{"a/b": "strong"}', "All strengths must be numbers greater than or equal to 0.0."),
        ('{"a/b": null}', "All strengths must be numbers greater than or equal to 0.0."),
        ('{"a/b": NaN}', "All strengths must be numbers greater than or equal to 0.0."),
        ('{"a/b": 1e999}', "All strengths must be numbers greater than or equal to 0.0."),
        ('{"a":1,"b":1,"c":1,"d":1,"e":1}', "Too many LoRas provided. Maximum is 4."),
        ('{"../../etc": 1}', "LoRa repository '../../etc' not found."),
        ('{"/etc/passwd": 1}', "LoRa repository '/etc/passwd' not found."),
        ('{"a/..": 1}', "LoRa repository 'a/..' not found."),
        ('{"https://elsewhere/x": 1}', "LoRa repository 'https://elsewhere/x' not found."),
    ],
)
def test_strengths__bad_text__has_ai_runners_words(text: str, fault: str):
    with pytest.raises(ValueError, match=r".") as refused:
        lora_strengths(text)
    assert str(refused.value).startswith(fault)
    assert len(str(refused.value)) < 300


@given(st.text() | _JSON.map(json.dumps))
def test_strengths__any_text__is_few_finite_strengths_or_a_refusal(text: str):
    try:
        found = lora_strengths(text)
    except ValueError:
        return
    assert len(found) <= MAX_LORAS
    assert all(0 <= strength < float("inf") for strength in found.values())
    assert not any(".." in name.split("/") or name.startswith("/") for name in found)
