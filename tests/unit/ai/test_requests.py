import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.ai import AiJob, AiResult, BadRequest, json_object, kind_of, parse_job
from livefleet.spec import Pipeline
from tests.builders.ai import images

pytestmark = pytest.mark.unit


KIND = kind_of(Pipeline.TEXT_TO_IMAGE)


def parse(**fields: object) -> AiJob:
    return parse_job(KIND, {"prompt": "a cat", "model_id": "a/b"} | fields)


def test_parse__size_omitted__is_what_gateways_pay_for():
    job = parse()
    assert (job.fields["width"], job.fields["height"], job.fields["num_images_per_prompt"]) == (512, 512, 1)
    assert (job.units, job.effort, job.media) == (262_144, 50, 1)
    assert job.fields["guidance_scale"] == 7.5
    assert "seed" not in job.fields
    assert job.fields["safety_check"] is True


def test_parse__images_and_size__are_billed_together():
    assert parse(width=64, height=128, num_images_per_prompt=3).units == 64 * 128 * 3


def test_parse__null_and_unknown_fields__are_as_if_absent():
    assert parse(height=None, seed=None, negative_prompt=None, from_the_future=1) == parse()


def test_parse__text_as_multipart_brings_it__is_the_same():
    assert parse(height="64", guidance_scale="7.500000", safety_check="true") == parse(height=64)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"width": 8192}, "width"),
        ({"height": 0}, "height"),
        ({"height": -512}, "height"),
        ({"num_inference_steps": 100_000}, "num_inference_steps"),
        ({"num_inference_steps": 0}, "num_inference_steps"),
        ({"num_images_per_prompt": 1000}, "num_images_per_prompt"),
        ({"guidance_scale": 1e9}, "guidance_scale"),
        ({"prompt": "x" * 10_000}, "prompt"),
        ({"negative_prompt": "x" * 10_000}, "negative_prompt"),
        ({"seed": 2**63}, "seed"),
        ({"prompt": ""}, "Prompt must be provided."),
        ({"prompt": None}, "prompt"),
        ({"model_id": None}, "model_id"),
        ({"model_id": ""}, "model_id"),
        ({"width": 100}, "`height` and `width` have to be divisible by 8 but are 512 and 100."),
    ],
)
def test_parse__outside_the_limits__is_the_clients_fault(fields: dict, fault: str):
    with pytest.raises(BadRequest) as refused:
        parse(**fields)
    # Gateways look for exactly these words before they decide whom to blame.
    assert refused.value.text.startswith("text-to-image container returned 400: ")
    assert fault in refused.value.text
    assert refused.value.status == 400
    assert "xxxxx" not in refused.value.text


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"prompt": NaN}', b"[" * 10**6])
def test_json_object__anything_else__is_refused(raw: bytes):
    with pytest.raises(ValueError, match=r"."):
        json_object(raw)


@given(st.dictionaries(st.sampled_from(sorted(KIND.fields.model_fields)), st.text() | st.floats() | st.integers()))
def test_parse__any_values__give_a_job_or_a_refusal(fields: dict):
    with contextlib.suppress(BadRequest):
        assert parse_job(KIND, fields).units > 0


def test_runner_fields__size_omitted__is_ai_runners_default():
    fields = KIND.runner_fields.model_validate({"prompt": "a cat"})
    assert (fields.height, fields.width, fields.model_id) == (576, 1024, "")


@given(st.lists(st.binary(), min_size=1), st.integers(), st.booleans())
def test_result__data_urls_and_back__is_the_same(pngs: list[bytes], seed: int, nsfw: bool):
    result = images(*pngs, first_seed=seed, nsfw=nsfw)
    assert AiResult.of_data_urls(json.loads(json.dumps(result.with_data_urls()))) == result


@pytest.mark.parametrize("url", ["http://elsewhere/x.png", "data:image/png;base64,***", "data:image/png,x"])
def test_result__no_data_url__is_an_error(url: str):
    with pytest.raises(ValueError, match=r"data URL"):
        AiResult.of_data_urls({"images": [{"url": url, "seed": 1, "nsfw": False}]})
