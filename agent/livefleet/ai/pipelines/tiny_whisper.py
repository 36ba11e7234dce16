"""A Whisper of toy size with random weights, for demos and tests: real classes, senseless words."""
# transformers annotates half of its functions.
# mypy: disable-error-code="no-untyped-call"

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

__all__ = ["write_tiny_faster_whisper", "write_tiny_whisper"]

_END = "<|endoftext|>"
_SPECIAL = (
    "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>",
    "<|nospeech|>", "<|notimestamps|>",
)  # fmt: skip
_TIMES = 1501  # every 0.02 s of a window of 30 s
_WIDTH = 16
_MOST_TOKENS = 24  # random words would go on to the end of the window


def write_tiny_whisper(folder: Path, *, seed: int = 0) -> None:
    """Make it as transformers saves it, and put it at `folder`. The same seed gives the same weights. Imports torch."""
    import torch
    from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    tokenizer = _tokenizer()
    numbers = {name: tokenizer.convert_tokens_to_ids(name) for name in (_END, *_SPECIAL)}
    torch.manual_seed(seed)
    model: Any = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=len(tokenizer) + _TIMES,
            d_model=_WIDTH,
            encoder_layers=1,
            decoder_layers=2,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=32,
            decoder_ffn_dim=32,
            num_mel_bins=80,
            pad_token_id=numbers[_END],
            bos_token_id=numbers[_END],
            eos_token_id=numbers[_END],
            decoder_start_token_id=numbers["<|startoftranscript|>"],
            suppress_tokens=[],
            begin_suppress_tokens=[numbers[_END]],
        )
    )
    model.generation_config = GenerationConfig(
        pad_token_id=numbers[_END],
        bos_token_id=numbers[_END],
        eos_token_id=numbers[_END],
        decoder_start_token_id=numbers["<|startoftranscript|>"],
        max_length=_MOST_TOKENS,
        is_multilingual=True,
        lang_to_id={name: numbers[name] for name in ("<|en|>", "<|de|>")},
        task_to_id={"translate": numbers["<|translate|>"], "transcribe": numbers["<|transcribe|>"]},
        no_timestamps_token_id=numbers["<|notimestamps|>"],
        prev_sot_token_id=numbers["<|startofprev|>"],
        max_initial_timestamp_index=50,
        alignment_heads=[[1, 0], [1, 1]],
        suppress_tokens=[],
        begin_suppress_tokens=[numbers[_END]],
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)


def write_tiny_faster_whisper(folder: Path, *, seed: int = 0) -> None:
    """Make it as CTranslate2 takes it, converted by its own converter. Imports torch."""
    from ctranslate2.converters import TransformersConverter

    with TemporaryDirectory() as scratch:
        write_tiny_whisper(Path(scratch), seed=seed)
        copied = ["tokenizer.json", "preprocessor_config.json"]
        TransformersConverter(scratch, copy_files=copied, low_cpu_mem_usage=True).convert(str(folder))


def _tokenizer() -> Any:
    """Single bytes and what Whisper says besides words."""
    from tokenizers import pre_tokenizers
    from transformers import WhisperTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {word: number for number, word in enumerate([*letters, _END, *_SPECIAL])}
    return WhisperTokenizer(vocab=words, merges=[], extra_special_tokens=list(_SPECIAL))
