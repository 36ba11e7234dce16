"""Diffusers models of toy size with random weights, for demos and tests.

Every part is the real class, so what loads and runs them is what loads and runs real models; only the pictures are
noise.
"""
# diffusers annotates half of its functions and hides some of its names.
# mypy: disable-error-code="no-untyped-call,attr-defined"

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from livefleet.ai.pipelines.tiny_parts import (
    WIDTH,
    a_scheduler,
    a_text_encoder,
    a_tokenizer,
    a_vae,
    a_vision_config,
    an_image_processor,
)

__all__ = ["TINY_DIFFUSION", "write_tiny_pipeline"]


def write_tiny_pipeline(folder: Path, *, seed: int = 0, kind: str = "text-to-image") -> None:
    """Make a model of `TINY_DIFFUSION` and put it at `folder`, which must not exist. Same seed, same weights.

    Imports torch: call it in a process that may hold it. An interrupted call leaves nothing at `folder`.
    """
    import torch

    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory() as scratch:
        for part in TINY_DIFFUSION[kind](Path(scratch)):
            part.save_pretrained(partial)
    partial.rename(folder)


def _text_to_image(scratch: Path) -> list[Any]:
    """Stable Diffusion 1."""
    from diffusers import StableDiffusionPipeline

    parts = _stable_diffusion(scratch)
    return [StableDiffusionPipeline(**parts, feature_extractor=None, requires_safety_checker=False)]


def _instruct_pix2pix(scratch: Path) -> list[Any]:
    """Its network sees the given picture beside the noise."""
    from diffusers import StableDiffusionInstructPix2PixPipeline

    parts = _stable_diffusion(scratch, in_channels=8)
    return [StableDiffusionInstructPix2PixPipeline(**parts, feature_extractor=None, requires_safety_checker=False)]


def _stable_diffusion(scratch: Path, in_channels: int = 4) -> dict[str, Any]:
    tokenizer, vocabulary = a_tokenizer(scratch / "tokenizer")
    return {
        "vae": a_vae(),
        "text_encoder": a_text_encoder(vocabulary),
        "tokenizer": tokenizer,
        "unet": _a_network(in_channels=in_channels),
        "scheduler": a_scheduler(),
        "safety_checker": None,
    }


def _a_network(**config: Any) -> Any:
    from diffusers import UNet2DConditionModel

    shape = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "attention_head_dim": 4,
        "cross_attention_dim": WIDTH,
    }
    return UNet2DConditionModel(**shape | config)


def _sdxl(scratch: Path) -> list[Any]:
    """Two text encoders, and a network that is told sizes."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    tokenizer, vocabulary = a_tokenizer(scratch / "tokenizer")
    second, _ = a_tokenizer(scratch / "tokenizer_2")
    return [
        StableDiffusionXLPipeline(
            vae=a_vae(force_upcast=True, scaling_factor=0.13025),
            text_encoder=a_text_encoder(vocabulary),
            text_encoder_2=a_text_encoder(vocabulary, projects=True),
            tokenizer=tokenizer,
            tokenizer_2=second,
            unet=_a_network(
                cross_attention_dim=2 * WIDTH,
                addition_embed_type="text_time",
                addition_time_embed_dim=8,
                projection_class_embeddings_input_dim=6 * 8 + WIDTH,
                transformer_layers_per_block=(1, 1),
                use_linear_projection=True,
            ),
            scheduler=EulerDiscreteScheduler(
                beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
            ),
            add_watermarker=False,
        )
    ]


def _upscale(scratch: Path) -> list[Any]:
    """Four times the side; its network sees the small picture beside the noise and is told how noisy that is."""
    from diffusers import DDIMScheduler, DDPMScheduler, StableDiffusionUpscalePipeline

    tokenizer, vocabulary = a_tokenizer(scratch / "tokenizer")
    return [
        StableDiffusionUpscalePipeline(
            vae=a_vae(halvings=2, scaling_factor=0.08333),
            text_encoder=a_text_encoder(vocabulary),
            tokenizer=tokenizer,
            unet=_a_network(in_channels=7, num_class_embeds=1000),
            low_res_scheduler=DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.0001, beta_end=0.02),
            scheduler=DDIMScheduler(prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False),
            max_noise_level=350,
        )
    ]


def _image_to_video(_: Path) -> list[Any]:
    """Stable Video Diffusion with films of four frames."""
    from diffusers import (
        AutoencoderKLTemporalDecoder,
        EulerDiscreteScheduler,
        StableVideoDiffusionPipeline,
        UNetSpatioTemporalConditionModel,
    )
    from transformers import CLIPVisionModelWithProjection

    return [
        StableVideoDiffusionPipeline(
            vae=AutoencoderKLTemporalDecoder(
                down_block_types=("DownEncoderBlock2D",) * 4,
                block_out_channels=(32, 32, 32, 32),
                layers_per_block=1,
                latent_channels=4,
                sample_size=64,
            ),
            image_encoder=CLIPVisionModelWithProjection(a_vision_config()),
            unet=UNetSpatioTemporalConditionModel(
                sample_size=8,
                in_channels=8,
                out_channels=4,
                down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
                up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
                block_out_channels=(32, 32),
                addition_time_embed_dim=8,
                projection_class_embeddings_input_dim=3 * 8,
                layers_per_block=1,
                cross_attention_dim=WIDTH,
                num_attention_heads=2,
                num_frames=4,
            ),
            scheduler=EulerDiscreteScheduler(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                interpolation_type="linear",
                prediction_type="v_prediction",
                sigma_max=700.0,
                sigma_min=0.002,
                steps_offset=1,
                timestep_spacing="leading",
                timestep_type="continuous",
                use_karras_sigmas=True,
            ),
            feature_extractor=an_image_processor(),
        )
    ]


def _safety_checker(_: Path) -> list[Any]:
    """Finds every picture unsafe."""
    import torch
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPTextConfig

    text = CLIPTextConfig(hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=a_vision_config().to_dict(), projection_dim=WIDTH)
    checker: Any = StableDiffusionSafetyChecker(config)
    checker.concept_embeds_weights = torch.nn.Parameter(torch.full((17,), -2.0), requires_grad=False)
    return [checker, an_image_processor()]


def _controlnet(_: Path) -> list[Any]:
    """For the networks of `text-to-image`. A fresh one says nothing; this one has been told something."""
    import torch
    from diffusers import ControlNetModel

    net: Any = ControlNetModel.from_unet(_a_network(), conditioning_embedding_out_channels=(4, 8, 8, 16))
    for weights in net.controlnet_down_blocks.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    return [net]


TINY_DIFFUSION: Mapping[str, Callable[[Path], list[Any]]] = {
    "text-to-image": _text_to_image,
    "image-to-image": _text_to_image,
    "sdxl": _sdxl,
    "instruct-pix2pix": _instruct_pix2pix,
    "upscale": _upscale,
    "image-to-video": _image_to_video,
    "safety-checker": _safety_checker,
    "controlnet": _controlnet,
}
"""By kind: what makes its parts in a scratch folder."""
