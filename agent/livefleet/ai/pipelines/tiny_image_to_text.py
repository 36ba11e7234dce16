"""A BLIP of toy size with random weights, for demos and tests: real classes, senseless captions."""
# transformers annotates half of its functions and hides a class.
# mypy: disable-error-code="no-untyped-call,attr-defined"

from pathlib import Path
from string import ascii_lowercase, digits

__all__ = ["write_tiny_blip"]

_SIDE = 32
_LETTERS = (*ascii_lowercase, *digits, *".,'-")
_WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[DEC]", *_LETTERS, *(f"##{letter}" for letter in _LETTERS))


def write_tiny_blip(folder: Path, *, seed: int = 0) -> None:
    """Make the model and its processor and put them at `folder`. Same seed, same weights. Imports torch."""
    import torch
    from transformers import BertTokenizerFast, BlipConfig, BlipForConditionalGeneration, BlipProcessor
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    number = _WORDS.index
    torch.manual_seed(seed)
    model = BlipForConditionalGeneration(
        BlipConfig(
            text_config={
                "vocab_size": len(_WORDS),
                "hidden_size": 32,
                "encoder_hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "max_position_embeddings": 128,
                "bos_token_id": number("[DEC]"),
                "eos_token_id": number("[SEP]"),
                "pad_token_id": number("[PAD]"),
                "sep_token_id": number("[SEP]"),
            },
            vision_config={
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "image_size": _SIDE,
                "patch_size": 8,
                "initializer_range": 0.2,
            },
            projection_dim=32,
            image_text_hidden_size=32,
        )
    )
    tokenizer = BertTokenizerFast(
        vocab={word: number(word) for word in _WORDS}, model_max_length=128, extra_special_tokens=["[DEC]"]
    )
    pictures = BlipImageProcessorPil(size={"height": _SIDE, "width": _SIDE})
    model.save_pretrained(folder)
    BlipProcessor(pictures, tokenizer).save_pretrained(folder)
