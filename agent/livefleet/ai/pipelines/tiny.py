"""A Stable Diffusion pipeline of toy size with random weights, for demos and tests.

Every part is the real class, so what loads and runs it is what loads and runs a real model; only the pictures are
noise.
"""
# diffusers annotates half of its functions and hides a base class.
# mypy: disable-error-code="no-untyped-call,attr-defined"

import json
import shutil
from pathlib import Path

__all__ = ["write_tiny_pipeline"]

_MAX_TOKENS = 77
_START = "<|startoftext|>"
_END = "<|endoftext|>"


def write_tiny_pipeline(folder: Path, *, seed: int = 0) -> None:
    """Make the pipeline and put it at `folder`, which must not exist. The same seed gives the same weights.

    Imports torch: call it in a process that may hold it. An interrupted call leaves nothing at `folder`.
    """
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    scratch = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    vocabulary = _write_tokenizer_files(scratch / "tokenizer-files")
    torch.manual_seed(seed)
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(8, 8, 16, 16),
            layers_per_block=1,
            norm_num_groups=4,
            latent_channels=4,
            sample_size=64,
        ),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(vocabulary),
                hidden_size=32,
                intermediate_size=64,
                projection_dim=32,
                num_hidden_layers=2,
                num_attention_heads=4,
                max_position_embeddings=_MAX_TOKENS,
                bos_token_id=vocabulary[_START],
                eos_token_id=vocabulary[_END],
                pad_token_id=vocabulary[_END],
            )
        ),
        tokenizer=CLIPTokenizer(
            vocab=str(scratch / "tokenizer-files/vocab.json"),
            merges=str(scratch / "tokenizer-files/merges.txt"),
            model_max_length=_MAX_TOKENS,
        ),
        unet=UNet2DConditionModel(
            sample_size=8,
            in_channels=4,
            out_channels=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            block_out_channels=(16, 32),
            layers_per_block=1,
            norm_num_groups=8,
            attention_head_dim=4,
            cross_attention_dim=32,
        ),
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    shutil.rmtree(scratch / "tokenizer-files")
    pipeline.save_pretrained(scratch)
    scratch.rename(folder)


def _write_tokenizer_files(folder: Path) -> dict[str, int]:
    """Vocabulary and merges of a CLIP tokenizer that knows single bytes only, as GPT-2 prints bytes."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + position) for position in range(len(others))]
    words = [*letters, *(f"{letter}</w>" for letter in letters), _START, _END]
    vocabulary = {word: number for number, word in enumerate(words)}
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return vocabulary
