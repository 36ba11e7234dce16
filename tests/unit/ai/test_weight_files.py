"""Which files of a repository a pipeline needs; the lists are those of real repositories, shortened."""

from pathlib import Path

import pytest

from livefleet.ai.hub import HubFile
from livefleet.ai.weight_files import components_of, folder_fault, needed_files
from livefleet.spec import Pipeline

pytestmark = pytest.mark.unit

INDEX = b"""{"_class_name": "StableDiffusionXLPipeline", "_diffusers_version": "0.19.0", "force_zeros": true,
"scheduler": ["diffusers", "EulerDiscreteScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
"unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"], "safety_checker": [null, null]}"""
SDXL = (
    ".gitattributes", "LICENSE.md", "README.md", "model_index.json", "comparison.png",
    "scheduler/scheduler_config.json", "sd_xl_base_1.0.safetensors", "sd_xl_base_1.0_0.9vae.safetensors",
    "text_encoder/config.json", "text_encoder/flax_model.msgpack", "text_encoder/model.fp16.safetensors",
    "text_encoder/model.onnx", "text_encoder/model.safetensors", "text_encoder/openvino_model.bin",
    "unet/config.json", "unet/diffusion_flax_model.msgpack", "unet/diffusion_pytorch_model.bin",
    "unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.non_ema.safetensors",
    "unet/diffusion_pytorch_model.safetensors", "unet/openvino_model.bin", "unet/openvino_model.xml",
    "vae/config.json", "vae/diffusion_pytorch_model.safetensors", "vae_1_0/config.json",
    "vae_1_0/diffusion_pytorch_model.fp16.safetensors", "vae_decoder/config.json", "vae_decoder/model.onnx",
)  # fmt: skip
LLAMA = (
    ".gitattributes", "LICENSE", "README.md", "USE_POLICY.md", "config.json", "generation_config.json",
    "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json",
    "original/consolidated.00.pth", "original/params.json", "special_tokens_map.json", "tokenizer.json",
    "tokenizer_config.json", "chat_template.jinja",
)  # fmt: skip
WHISPER = (
    "README.md", "added_tokens.json", "config.json", "flax_model.msgpack", "generation_config.json", "merges.txt",
    "model.fp32-00001-of-00002.safetensors", "model.fp32-00002-of-00002.safetensors", "model.safetensors",
    "model.safetensors.index.fp32.json", "normalizer.json", "preprocessor_config.json", "pytorch_model.bin",
    "pytorch_model.bin.index.fp32.json", "pytorch_model.fp32-00001-of-00002.bin", "tokenizer.json", "vocab.json",
)  # fmt: skip
FASTER_WHISPER = (".gitattributes", "README.md", "config.json", "model.bin", "tokenizer.json", "vocabulary.txt")
SAM2 = (
    "README.md", "config.json", "model.safetensors", "preprocessor_config.json", "processor_config.json",
    "sam2_hiera_l.yaml", "sam2_hiera_large.pt",
)  # fmt: skip
OLD_BLIP = ("README.md", "config.json", "preprocessor_config.json", "pytorch_model.bin", "tf_model.h5", "vocab.txt")
CONTROLNET = (
    "config.json", "diffusion_pytorch_model.bin", "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.safetensors", "images/bird.png", "control_canny.ckpt",
)  # fmt: skip


def chosen(
    paths: tuple[str, ...], pipeline: Pipeline, dtype: str = "float32", *, index: bytes | None = None
) -> set[str]:
    files = [HubFile(path, 100, "a" * 64) for path in paths]
    components = None if index is None else components_of(index)
    return {file.path for file in needed_files(files, pipeline, dtype, components)}


def test_sdxl__in_float16__takes_the_fp16_parts_and_the_full_one_where_there_is_no_other() -> None:
    assert chosen(SDXL, Pipeline.TEXT_TO_IMAGE, "float16", index=INDEX) == {
        "model_index.json", "scheduler/scheduler_config.json", "text_encoder/config.json", "unet/config.json",
        "vae/config.json", "text_encoder/model.fp16.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    }  # fmt: skip


def test_sdxl__in_float32__takes_the_full_parts() -> None:
    weights = {path for path in chosen(SDXL, Pipeline.TEXT_TO_IMAGE, index=INDEX) if not path.endswith(".json")}
    assert weights == {
        "text_encoder/model.safetensors", "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    }  # fmt: skip


def test_llama__takes_every_shard_and_its_index_and_no_original() -> None:
    assert chosen(LLAMA, Pipeline.LLM, "float16") == {
        "config.json", "generation_config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja", "model.safetensors.index.json", "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("paths", "pipeline", "weights"),
    [
        (WHISPER, Pipeline.AUDIO_TO_TEXT, {"model.safetensors"}),
        (FASTER_WHISPER, Pipeline.AUDIO_TO_TEXT, {"model.bin"}),
        (SAM2, Pipeline.SEGMENT_ANYTHING_2, {"model.safetensors"}),
        (OLD_BLIP, Pipeline.IMAGE_TO_TEXT, {"pytorch_model.bin"}),
        (CONTROLNET, Pipeline.IMAGE_TO_IMAGE, {"diffusion_pytorch_model.safetensors"}),
        (("SmolLM2-135M.Q4_1.gguf", "README.md"), Pipeline.LLM, {"SmolLM2-135M.Q4_1.gguf"}),
        (("en_US-joe.onnx", "en_US-joe.onnx.json"), Pipeline.TEXT_TO_SPEECH, {"en_US-joe.onnx"}),
        (("my_lora.safetensors",), Pipeline.TEXT_TO_IMAGE, {"my_lora.safetensors"}),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_weights__of_one_model__are_taken_once(
    paths: tuple[str, ...], pipeline: Pipeline, weights: set[str], dtype: str
) -> None:
    small = (".json", ".txt", ".yaml")
    assert {path for path in chosen(paths, pipeline, dtype) if not path.endswith(small)} == weights


def test_small_files__of_faster_whisper__come_too() -> None:
    assert chosen(FASTER_WHISPER, Pipeline.AUDIO_TO_TEXT) == {
        "config.json", "model.bin", "tokenizer.json", "vocabulary.txt"
    }  # fmt: skip


def test_needed_files__smallest_first() -> None:
    files = [HubFile("model.safetensors", 9, "a" * 64), HubFile("config.json", 2, "b" * 64)]
    assert [file.size for file in needed_files(files, Pipeline.LLM, "float32")] == [2, 9]


@pytest.mark.parametrize("index", [b"[]", b"{", b"\xff"])
def test_index__that_is_none__is_a_value_error(index: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- JSON's own errors as well
        components_of(index)


@pytest.mark.parametrize(
    ("pipeline", "files", "told"),
    [
        (Pipeline.TEXT_TO_IMAGE, ["model_index.json"], None),
        (Pipeline.TEXT_TO_IMAGE, ["config.json"], "has no model_index.json: not a diffusers pipeline"),
        (Pipeline.LLM, ["config.json"], None),
        (Pipeline.LLM, ["a.gguf"], None),
        (Pipeline.LLM, ["a.gguf", "b.gguf"], "has 2 files *.gguf; leave one"),
        (Pipeline.AUDIO_TO_TEXT, ["model.bin", "config.json"], None),
        (Pipeline.AUDIO_TO_TEXT, ["a.gguf"], "has no config.json"),
        (Pipeline.IMAGE_TO_TEXT, [], "has no config.json"),
    ],
)
def test_folder__is_judged_by_its_pipeline(
    tmp_path: Path, pipeline: Pipeline, files: list[str], told: str | None
) -> None:
    for name in files:
        (tmp_path / name).write_bytes(b"")
    fault = folder_fault(pipeline, tmp_path)
    assert fault is None if told is None else fault is not None and told in fault
