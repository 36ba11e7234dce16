"""Loaded diffusers models in this process: what they make of LoRAs, checkers, odd pictures, and being told to stop."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from livefleet.ai import AiResult, kind_of
from livefleet.ai.errors import Cancelled, InferenceFailed, OutOfMemory
from livefleet.ai.pipelines.tiny import TINY_DIFFUSION
from livefleet.ai.stop import Stop
from livefleet.spec import Pipeline
from tests.builders.ai import pngs, runner_settings
from tests.builders.images import a_png

# The libraries' own notices are theirs.
pytestmark = [pytest.mark.component, pytest.mark.filterwarnings("ignore")]

PHOTO = a_png(64, 48)
SMALL: dict[Pipeline, dict[str, Any]] = {
    Pipeline.TEXT_TO_IMAGE: {"prompt": "a cat", "height": 64, "width": 64},
    Pipeline.IMAGE_TO_IMAGE: {"prompt": "a cat"},
    Pipeline.UPSCALE: {"prompt": "a cat"},
    Pipeline.IMAGE_TO_VIDEO: {"height": 64, "width": 64},
}
T2I, I2I = Pipeline.TEXT_TO_IMAGE, Pipeline.IMAGE_TO_IMAGE
FOREVER = Stop(float("inf"))

Load = Callable[..., Callable[..., AiResult]]


@pytest.fixture
def load(tiny_models: Path) -> Load:
    """Load a model of some kind; what comes back does a job."""

    def do(pipeline: Pipeline, source: str | Path = "", **settings: Any) -> Callable[..., AiResult]:
        kind = kind_of(pipeline)
        folder = tiny_models / (source or pipeline.value)
        model: Any = kind.load(runner_settings(pipeline=pipeline, source=str(folder), **settings))

        def make(*, seed: int = 7, upload: bytes = PHOTO, stop: Stop = FOREVER, **fields: Any) -> AiResult:
            given = {"num_inference_steps": 3, "safety_check": False} | SMALL[pipeline] | fields
            return model.run(kind.runner_fields.model_validate(given), upload if kind.upload else None, seed, stop)

        make.model = model
        return make

    return do


def picture(result: AiResult) -> Any:
    """The first one as numbers, whole and signed."""
    import io

    import numpy as np
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(pngs(result)[0])).convert("RGB")).astype(int)


def size(result: AiResult) -> tuple[int, int]:
    height, width, _ = picture(result).shape
    return width, height


def test_models__of_every_shape__make_pictures_of_the_right_size_by_seed(load: Load):
    for pipeline, source, expected in (
        (T2I, "text-to-image", (64, 64)),
        (T2I, "sdxl", (64, 64)),
        (I2I, "image-to-image", (64, 48)),
        (I2I, "sdxl", (64, 48)),
        (I2I, "instruct-pix2pix", (64, 48)),
        (Pipeline.UPSCALE, "upscale", (256, 192)),
    ):
        make = load(pipeline, source)
        first = make(seed=5)
        assert size(first) == expected, source
        assert make(seed=5) == first, source
        assert pngs(make(seed=6)) != pngs(first), source
        if pipeline is not Pipeline.UPSCALE:
            # Image n is what its seed makes alone.
            assert pngs(make(seed=4, num_images_per_prompt=2)) == [*pngs(make(seed=4)), *pngs(first)], source


def test_tiny_models__every_kind__is_a_few_megabytes(tiny_models: Path):
    for kind in TINY_DIFFUSION:
        size = sum(file.stat().st_size for file in (tiny_models / kind).rglob("*") if file.is_file())
        assert 50_000 < size < 6_000_000, kind


def test_image_to_video__seed_and_settings__decide_the_frames(load: Load):
    make = load(Pipeline.IMAGE_TO_VIDEO)
    first = make(seed=5)
    (entries,) = first.body["frames"]
    assert [(entry["seed"], entry["nsfw"]) for entry in entries] == [(5, False)] * 4
    assert len(first.media) == 4
    assert len({media.data for media in first.media.values()}) == 4
    assert make(seed=5) == first
    for changed in ({"seed": 6}, {"fps": 12}, {"motion_bucket_id": 1}, {"noise_aug_strength": 1.0}):
        assert make(**{"seed": 5} | changed).media != first.media, changed


def test_fields__of_image_to_image__change_the_picture(load: Load):
    make, edit = load(I2I), load(I2I, "instruct-pix2pix")
    assert make(strength=0.4) != make(strength=1.0)
    assert make(upload=a_png(64, 48, shade=250)) != make()
    assert make(negative_prompt="a dog") != make()
    # Only pipelines that edit by instruction know how near to the picture they should stay.
    assert make(image_guidance_scale=9) == make()
    assert edit(image_guidance_scale=9) != edit()


def test_strength__leaves_no_step__is_refused_in_plain_words(load: Load):
    with pytest.raises(InferenceFailed, match=r"^of 3 steps a strength of 0\.1 leaves none$"):
        load(I2I)(strength=0.1)


def test_turbo__whatever_is_asked_for__is_without_guidance_and_has_a_step(load: Load):
    text, edit = load(T2I, model_id="stabilityai/sd-turbo"), load(I2I, model_id="stabilityai/sd-turbo")
    plain = load(T2I)
    assert text(guidance_scale=9.0) == text(guidance_scale=0.0) == plain(guidance_scale=0.0)
    assert plain(guidance_scale=9.0) != plain(guidance_scale=0.0)
    assert edit(num_inference_steps=1, strength=0.1) == edit(num_inference_steps=1, strength=1.0, guidance_scale=0)


def test_lightning__folder__takes_the_network_for_its_steps(load: Load, tiny_models: Path, tmp_path: Path):
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_models / "sdxl", tmp_path / "lightning")
    weights = load_file(tmp_path / "lightning/unet/diffusion_pytorch_model.safetensors")
    torch.manual_seed(1)
    others = {name: torch.randn_like(w) * 0.1 for name, w in weights.items()}
    save_file(others, tmp_path / "lightning/sdxl_lightning_4step_unet.safetensors")
    make = load(T2I, tmp_path / "lightning", model_id="ByteDance/SDXL-Lightning-4step")
    assert make(num_inference_steps=50) == make(num_inference_steps=1, guidance_scale=9.0)
    assert make() != load(T2I, "sdxl")(num_inference_steps=4, guidance_scale=0.0)
    with make.model._a_pipeline() as pipeline:
        assert pipeline.scheduler.config.timestep_spacing == "trailing"
        assert torch.equal(pipeline.unet.state_dict()["conv_in.weight"], others["conv_in.weight"])
    with pytest.raises(FileNotFoundError, match=r"2step_unet\.safetensors is missing; ByteDance/SDXL-Lightning has it"):
        load(T2I, tmp_path / "lightning", model_id="ByteDance/SDXL-Lightning-2step")


def test_half_size_files__alone_or_for_half_types__are_taken(load: Load, tiny_models: Path, tmp_path: Path):
    for file in (tiny_models / "text-to-image").rglob("*"):
        there = tmp_path / "half" / file.relative_to(tiny_models / "text-to-image")
        there.parent.mkdir(parents=True, exist_ok=True)
        if file.is_file():
            shutil.copy(file, there.with_name(there.name.replace(".safetensors", ".fp16.safetensors")))
    assert load(T2I, tmp_path / "half")() == load(T2I)()


def test_half_type__two_jobs_at_once__each_casts_its_own_decoder(load: Load):
    make = load(I2I, "sdxl", dtype="float16", capacity=2)
    alone = make()
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda _: make(), range(4))) == [alone] * 4


def test_half_type__decoding_fails__next_job_is_done(load: Load, monkeypatch: pytest.MonkeyPatch):
    make = load(T2I, "sdxl", dtype="float16")
    before = make()
    with monkeypatch.context() as patch:
        patch.setattr("diffusers.AutoencoderKL.decode", _out_of_memory)
        with pytest.raises(OutOfMemory):
            make()
    assert make() == before


def _out_of_memory(*_: Any, **__: Any) -> None:
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory")


def test_controlnet__given__guides_by_the_picture(load: Load, tiny_models: Path):
    plain, guided = load(I2I), load(I2I, controlnet=str(tiny_models / "controlnet"))
    assert size(guided()) == (64, 48)
    assert guided() == guided() != plain()


def test_prompts__parted_by_a_bar__go_to_the_text_encoders(load: Load):
    two, one = load(T2I, "sdxl"), load(T2I)
    assert two(prompt="a cat|a dog") != two(prompt="a cat")
    assert two(prompt="a cat | a cat") == two(prompt="a cat")
    # With one encoder it is a sign like any other.
    assert one(prompt="a cat|a dog") != one(prompt="a cat")


def test_safety__checker_flags__picture_is_black_only_where_a_check_is_made(load: Load, tiny_models: Path):
    checker = str(tiny_models / "safety-checker")
    for settings, wanted, flagged in (
        ({}, True, False),  # the model has none
        ({"safety_checker": checker}, True, True),
        ({"safety_checker": checker}, False, False),
        ({"safety_checker": checker, "safety_check": "forced"}, False, True),
        ({"safety_checker": checker, "safety_check": False}, True, False),
    ):
        result = load(T2I, **settings)(safety_check=wanted)
        assert [image["nsfw"] for image in result.body["images"]] == [flagged], settings
        assert bool(picture(result).max() == 0) is flagged, settings


def test_safety__models_own_checker__is_used_and_shared(load: Load, tiny_models: Path, tmp_path: Path):
    folder = tmp_path / "checked"
    shutil.copytree(tiny_models / "text-to-image", folder)
    shutil.copytree(tiny_models / "safety-checker", folder / "safety_checker")
    (folder / "feature_extractor").mkdir()
    shutil.move(folder / "safety_checker/preprocessor_config.json", folder / "feature_extractor")
    index = json.loads((folder / "model_index.json").read_text())
    index |= {
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "requires_safety_checker": True,
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    make = load(T2I, folder, capacity=2)
    with ThreadPoolExecutor(2) as threads:
        checked, unchecked = threads.map(lambda wanted: make(safety_check=wanted), (True, False))
    assert (checked.body["images"][0]["nsfw"], unchecked.body["images"][0]["nsfw"]) == (True, False)
    assert picture(checked).max() == 0
    assert unchecked == load(T2I)()


def test_safety__forced_without_a_checker__does_not_load(load: Load):
    with pytest.raises(ValueError, match="name one by `safety_checker`"):
        load(T2I, safety_check="forced")


def test_safety__film__checks_the_picture_that_came(load: Load, tiny_models: Path):
    make = load(Pipeline.IMAGE_TO_VIDEO, safety_checker=str(tiny_models / "safety-checker"))
    assert [entry["nsfw"] for entry in make(safety_check=True).body["frames"][0]] == [True] * 4
    assert make(safety_check=True).media == make(upload=a_png(64, 48, shade=0)).media


@pytest.mark.parametrize("pipeline", [I2I, Pipeline.UPSCALE, Pipeline.IMAGE_TO_VIDEO])
def test_picture__cut_short__is_refused_and_the_next_job_is_done(load: Load, pipeline: Pipeline):
    make = load(pipeline)
    with pytest.raises(InferenceFailed, match=r"^image: "):
        make(upload=PHOTO[:-30])
    assert make().media


class StopAtStep(Stop):
    """Somebody goes away after a few looks."""

    def __init__(self, looks: int) -> None:
        super().__init__(float("inf"))
        self._left = looks

    def check(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.cancel()
        super().check()


@pytest.mark.parametrize("pipeline", list(SMALL))
def test_stop__between_steps__ends_there_and_leaves_the_model_sound(load: Load, pipeline: Pipeline):
    make = load(pipeline)
    before = make()
    stop = StopAtStep(5)
    with pytest.raises(Cancelled):
        make(num_inference_steps=100, stop=stop)
    assert stop._left == 0  # it never looked again
    assert make() == before
