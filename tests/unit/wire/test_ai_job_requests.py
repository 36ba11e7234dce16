"""Go workers read a job's `request` into typed structs: a number where text is due is an error of the whole job."""

import json

import pytest

from livefleet.ai import SERVED, kind_of, parse_job
from livefleet.wire.server.remote_ai_job import RemoteJob
from tests.builders.ai_files import png, wav

pytestmark = pytest.mark.unit

MODEL = "owner/model"
PICTURE = {"guidance_scale": float, "image_guidance_scale": float, "loras": str, "negative_prompt": str, "prompt": str}
SHAPE = {"height": int, "width": int, "num_images_per_prompt": int}
STEPS = {"model_id": str, "num_inference_steps": int, "safety_check": bool, "seed": int}

# By ai-runner's Go bindings; pointers to these, so what is absent stays nil.
GO_TYPES = {
    "text-to-image": PICTURE | SHAPE | STEPS,
    "image-to-image": PICTURE | STEPS | {"image": None, "strength": float, "num_images_per_prompt": int},
    "image-to-video": STEPS | {"image": None, "height": int, "width": int, "fps": int, "motion_bucket_id": int,
                               "noise_aug_strength": float},
    "upscale": STEPS | {"image": None, "prompt": str},
    "audio-to-text": {"audio": None, "model_id": str, "metadata": str, "return_timestamps": str},
    "segment-anything-2": {"image": None, "model_id": str, "point_coords": str, "point_labels": str, "box": str,
                           "mask_input": str, "multimask_output": bool, "return_logits": bool,
                           "normalize_coords": bool},
    "llm": {"model": str, "messages": list, "temperature": float, "max_tokens": int, "top_p": float, "top_k": int,
            "stream": bool},
    "image-to-text": {"image": None, "model_id": str, "prompt": str},
    "text-to-speech": {"model_id": str, "text": str, "description": str},
}  # fmt: skip

LEAST = {
    "text-to-image": {"prompt": "x"},
    "image-to-image": {"prompt": "x"},
    "upscale": {"prompt": "x"},
    "llm": {"messages": [{"role": "user", "content": "x"}], "max_tokens": 5},
    "text-to-speech": {"text": "x"},
}
MOST = {
    "text-to-image": {"prompt": "x", "seed": 3, "height": 64, "guidance_scale": 7, "num_images_per_prompt": 2},
    "image-to-image": {"prompt": "x", "seed": "3", "strength": "1", "guidance_scale": "7", "safety_check": "false"},
    "image-to-video": {"fps": "8", "height": "64", "width": "64", "seed": "3", "noise_aug_strength": "1"},
    "upscale": {"prompt": "x", "seed": "3", "num_inference_steps": "2"},
    "audio-to-text": {"return_timestamps": "word", "metadata": '{"duration":"1"}'},
    "segment-anything-2": {"point_coords": "[[10,20]]", "point_labels": "[1]", "multimask_output": "false"},
    "llm": {"messages": [{"role": "user", "content": "x"}], "max_tokens": 5, "temperature": 1, "top_p": 1, "top_k": 3},
    "image-to-text": {"prompt": "what is it"},
    "text-to-speech": {"text": "x", "description": "a calm voice"},
}


@pytest.mark.parametrize("fields", [LEAST, MOST], ids=["least", "most"])
@pytest.mark.parametrize("pipeline", SERVED)
async def test_request__each_field__has_the_type_that_go_reads(pipeline, fields):
    kind = kind_of(pipeline)
    upload = None
    if kind.upload is not None:
        upload = wav() if kind.upload.field == "audio" else png(64, 64)
    job = parse_job(kind, {kind.model_field: MODEL} | fields.get(pipeline.value, {}), upload)
    request = json.loads(RemoteJob(job).request)
    types = GO_TYPES[pipeline.value]
    assert request[kind.model_field] == MODEL
    assert upload is None or request[kind.upload.field] is None
    for name, value in request.items():
        if name not in types:
            continue  # Go reads over it
        match types[name]:
            case None:
                assert value is None
            case number if number is float:
                assert type(value) in (int, float), name
            case exact:
                assert type(value) is exact, name
    assert set(fields.get(pipeline.value, {})) <= set(request)


def test_types__are_known_for_every_pipeline():
    assert set(SERVED) <= set(GO_TYPES)
