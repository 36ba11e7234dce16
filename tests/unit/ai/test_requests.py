import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.ai import BadRequest, ImageResult, parse_text_to_image
from livefleet.ai.models import RunnerTextToImage, images_from_json, images_to_json

pytestmark = pytest.mark.unit


def body(**fields: object) -> bytes:
    return json.dumps({"prompt": "a cat", "model_id": "a/b"} | fields).encode()


def test_parse__size_omitted__is_what_gateways_pay_for():
    request = parse_text_to_image(body())
    assert (request.width, request.height, request.num_images_per_prompt) == (512, 512, 1)
    assert request.pixels == 262_144
    assert request.guidance_scale == 7.5
    assert request.num_inference_steps == 50
    assert request.safety_check is True
    assert request.seed is None


def test_parse__images_and_size__are_billed_together():
    assert parse_text_to_image(body(width=64, height=128, num_images_per_prompt=3)).pixels == 64 * 128 * 3


def test_parse__null_and_unknown_fields__are_as_if_absent():
    request = parse_text_to_image(body(height=None, seed=None, negative_prompt=None, from_the_future=1))
    assert request == parse_text_to_image(body())


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
        parse_text_to_image(body(**fields))
    # Gateways look for exactly these words before they decide whom to blame.
    assert refused.value.text.startswith("text-to-image container returned 400: ")
    assert fault in refused.value.text
    assert refused.value.status == 400
    assert "xxxxx" not in refused.value.text


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"prompt": NaN}'])
def test_parse__not_an_object__is_refused(raw: bytes):
    with pytest.raises(BadRequest):
        parse_text_to_image(raw)


@given(st.binary(max_size=200))
def test_parse__any_bytes__give_a_request_or_a_refusal(raw: bytes):
    with contextlib.suppress(BadRequest):
        assert parse_text_to_image(raw).prompt


def test_runner_request__size_omitted__is_ai_runners_default():
    request = RunnerTextToImage.model_validate_json(b'{"prompt": "a cat"}')
    assert (request.height, request.width, request.model_id) == (576, 1024, "")


@given(st.lists(st.builds(ImageResult, png=st.binary(), seed=st.integers(), nsfw=st.booleans()), min_size=1))
def test_images__to_json_and_back__are_the_same(images: list[ImageResult]):
    assert list(images_from_json(json.dumps(images_to_json(images)).encode())) == images


@pytest.mark.parametrize(
    "url",
    [
        "http://elsewhere/x.png",
        "data:image/png;base64,***",
        "data:image/jpeg;base64," + base64.b64encode(b"x").decode(),
    ],
)
def test_images__no_png_data_url__is_an_error(url: str):
    with pytest.raises(ValueError, match=r"data URL"):
        images_from_json(json.dumps({"images": [{"url": url, "seed": 1, "nsfw": False}]}).encode())


def test_images__none_at_all__is_an_error():
    with pytest.raises(ValueError, match="images"):
        images_from_json(b'{"images": []}')
