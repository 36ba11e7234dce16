"""Requests that bring a picture: fields, limits, units and refusals of three pipelines."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.ai import AiJob, BadRequest, kind_of, parse_job
from livefleet.ai.errors import Malformed
from livefleet.spec import Pipeline
from tests.builders.images import a_png, png_of

pytestmark = pytest.mark.unit

I2I, UPSCALE, VIDEO = Pipeline.IMAGE_TO_IMAGE, Pipeline.UPSCALE, Pipeline.IMAGE_TO_VIDEO
PICTURES = (I2I, UPSCALE, VIDEO)


def parse(pipeline: Pipeline, upload: bytes | None = None, **fields: object) -> AiJob:
    given = {"prompt": "a cat", "model_id": "a/b"} | fields
    return parse_job(kind_of(pipeline), given, a_png(48, 32) if upload is None else upload)


@pytest.mark.parametrize(
    ("pipeline", "defaults"),
    [
        (
            I2I,
            {
                "prompt": "a cat", "model_id": "a/b", "loras": "", "strength": 0.8, "guidance_scale": 7.5,
                "image_guidance_scale": 1.5, "negative_prompt": "", "safety_check": True,
                "num_inference_steps": 100, "num_images_per_prompt": 1,
            },
        ),
        (UPSCALE, {"prompt": "a cat", "model_id": "a/b", "safety_check": True, "num_inference_steps": 75}),
        (
            VIDEO,
            {
                "model_id": "a/b", "height": 576, "width": 1024, "motion_bucket_id": 127, "noise_aug_strength": 0.02,
                "safety_check": True, "num_inference_steps": 25,
            },
        ),
    ],
)  # fmt: skip
def test_parse__fields_omitted__are_ai_runners_defaults(pipeline: Pipeline, defaults: dict[str, Any]):
    assert parse(pipeline).fields == defaults


def test_runner__fps_omitted__is_six_there_and_open_at_the_orchestrator():
    kind = kind_of(VIDEO)
    assert kind.runner_fields.model_validate({}).fps == 6
    assert "fps" not in parse(VIDEO).fields
    assert parse(VIDEO, fps="12").fields["fps"] == 12


@pytest.mark.parametrize(
    ("pipeline", "fields", "units"),
    [
        (I2I, {}, 48 * 32),
        (I2I, {"num_images_per_prompt": "3"}, 48 * 32 * 3),
        (UPSCALE, {}, 48 * 32),
        (VIDEO, {}, 576 * 1024 * 25),
        (VIDEO, {"height": 64, "width": "128", "fps": 60}, 64 * 128 * 25),
    ],
)
def test_units__pictures__are_what_gateways_pay_for(pipeline: Pipeline, fields: dict[str, Any], units: int):
    assert parse(pipeline, **fields).units == units


def test_media__answer__has_one_file_an_image_and_one_film():
    assert parse(I2I, num_images_per_prompt=3).media == 3
    assert parse(UPSCALE).media == parse(VIDEO).media == 1


def test_upscale__seed_of_zero__counts_as_absent():
    assert "seed" not in parse(UPSCALE, seed="0").fields
    assert parse(UPSCALE, seed="7").fields["seed"] == 7
    assert parse(I2I, seed="0").fields["seed"] == 0
    assert kind_of(UPSCALE).runner_fields.model_validate({"prompt": "p", "seed": 0}).seed is None


@pytest.mark.parametrize(
    ("pipeline", "fields", "fault"),
    [
        (I2I, {"prompt": None}, "prompt: Field required"),
        (I2I, {"strength": 1.5}, "strength"),
        (I2I, {"strength": "nan"}, "strength"),
        (I2I, {"image_guidance_scale": -1}, "image_guidance_scale"),
        (I2I, {"num_inference_steps": 0}, "num_inference_steps"),
        (I2I, {"num_inference_steps": 101}, "num_inference_steps"),
        (I2I, {"num_images_per_prompt": 9}, "num_images_per_prompt"),
        (I2I, {"loras": "{"}, "Unable to parse '{' as JSON."),
        (I2I, {"prompt": "x" * 1_000_000}, "prompt"),
        (UPSCALE, {"prompt": None}, "prompt: Field required"),
        (UPSCALE, {"num_inference_steps": 0}, "num_inference_steps"),
        (VIDEO, {"height": 100}, "`height` and `width` have to be divisible by 8 but are 100 and 1024."),
        (VIDEO, {"width": 4096}, "width"),
        (VIDEO, {"fps": 0}, "fps"),
        (VIDEO, {"fps": 1000}, "fps"),
        (VIDEO, {"motion_bucket_id": -1}, "motion_bucket_id"),
        (VIDEO, {"noise_aug_strength": "inf"}, "noise_aug_strength"),
    ],
)
def test_parse__outside_the_limits__is_the_clients_fault(pipeline: Pipeline, fields: dict[str, Any], fault: str):
    with pytest.raises(BadRequest) as refused:
        parse(pipeline, **fields)
    assert refused.value.text.startswith(f"{pipeline} container returned 400: ")
    assert fault in refused.value.text
    assert len(refused.value.text) < 500


@pytest.mark.parametrize("pipeline", PICTURES)
@pytest.mark.parametrize(
    ("upload", "fault"),
    [
        (b"", "image: Field required"),
        (png_of(100_000, 100_000, b""), "the image is 100000x100000, at most "),
    ],
)
def test_parse__no_usable_picture__is_refused_by_its_header(pipeline: Pipeline, upload: bytes, fault: str):
    with pytest.raises(BadRequest) as refused:
        parse(pipeline, upload)
    assert refused.value.text.startswith(f"{pipeline} container returned 400: {fault}")


@pytest.mark.parametrize(
    ("upload", "fault"), [(b"a long story", "image: unknown format"), (png_of(0, 5, b""), "the image is 0x5")]
)
def test_parse__no_picture__has_the_references_bare_words_where_it_decides_the_bill(upload: bytes, fault: str):
    for pipeline in (I2I, UPSCALE):
        with pytest.raises(Malformed) as refused:
            parse(pipeline, upload)
        assert (refused.value.text, refused.value.status) == (fault, 400)
    with pytest.raises(BadRequest, match=f"image-to-video container returned 400: {fault}"):
        parse(VIDEO, upload)


@pytest.mark.parametrize(("pipeline", "largest"), [(I2I, 2048), (UPSCALE, 1024), (VIDEO, 8192)])
def test_parse__largest_picture__is_taken_and_one_pixel_more_is_not(pipeline: Pipeline, largest: int):
    assert parse(pipeline, png_of(largest, 8, b"")).units > 0
    with pytest.raises(BadRequest, match=f"at most {largest} pixels a side are taken"):
        parse(pipeline, png_of(largest + 1, 8, b""))


@given(
    st.sampled_from(PICTURES),
    st.dictionaries(
        st.sampled_from(sorted({name for p in PICTURES for name in kind_of(p).fields.model_fields})),
        st.text() | st.floats() | st.integers() | st.booleans(),
    ),
    st.binary() | st.binary().map(a_png().__add__) | st.integers(0, 60).map(lambda n: a_png()[:n]),
)
def test_parse__any_values__give_a_job_or_a_refusal(pipeline: Pipeline, fields: dict[str, Any], upload: bytes):
    with contextlib.suppress(BadRequest, Malformed):
        assert parse_job(kind_of(pipeline), fields, upload).units > 0
