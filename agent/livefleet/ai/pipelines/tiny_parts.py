"""Parts of diffusers models of toy size with random weights; every one is the real class."""
# diffusers annotates half of its functions and hides some of its names.
# mypy: disable-error-code="no-untyped-call,attr-defined"

import json
from pathlib import Path
from typing import Any

__all__ = ["a_scheduler", "a_text_encoder", "a_tokenizer", "a_vae", "a_vision_config", "an_image_processor"]

MAX_TOKENS = 77
WIDTH = 32  # of all embeddings
EYE = 224  # pixels; Stable Video Diffusion takes no other
_START = "<|startoftext|>"
_END = "<|endoftext|>"


def a_vae(*, halvings: int = 3, **config: Any) -> Any:
    """An autoencoder whose latent picture has a side of `1 / 2**halvings`."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * (halvings + 1),
        up_block_types=("UpDecoderBlock2D",) * (halvings + 1),
        block_out_channels=(8, 8, 16, 16)[-halvings - 1 :],
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=4,
        sample_size=64,
        **config,
    )


def a_text_encoder(vocabulary: dict[str, int], *, projects: bool = False) -> Any:
    """CLIP's, with or without its projection."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(vocabulary),
        hidden_size=WIDTH,
        intermediate_size=64,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=MAX_TOKENS,
        bos_token_id=vocabulary[_START],
        eos_token_id=vocabulary[_END],
        pad_token_id=vocabulary[_END],
    )
    return CLIPTextModelWithProjection(config) if projects else CLIPTextModel(config)


def a_vision_config() -> Any:
    """CLIP's eye."""
    from transformers import CLIPVisionConfig

    return CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=64,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=EYE,
        patch_size=56,
    )


def an_image_processor() -> Any:
    """For `a_vision_config`."""
    from transformers import CLIPImageProcessor

    return CLIPImageProcessor(size={"shortest_edge": EYE}, crop_size={"height": EYE, "width": EYE})


def a_scheduler() -> Any:
    """Stable Diffusion's."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def a_tokenizer(scratch: Path) -> tuple[Any, dict[str, int]]:
    """CLIP's, and its vocabulary: it knows single bytes only, as GPT-2 prints bytes."""
    from transformers import CLIPTokenizer

    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + position) for position in range(len(others))]
    words = [*letters, *(f"{letter}</w>" for letter in letters), _START, _END]
    vocabulary = {word: number for number, word in enumerate(words)}
    scratch.mkdir()
    (scratch / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (scratch / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    tokenizer = CLIPTokenizer(
        vocab=str(scratch / "vocab.json"), merges=str(scratch / "merges.txt"), model_max_length=MAX_TOKENS
    )
    return tokenizer, vocabulary
