"""Voices of toy size with random weights, for demos and tests: real classes that only make noise."""
# transformers annotates half of its functions.
# mypy: disable-error-code="no-untyped-call"

import io
import json
import string
from pathlib import Path
from typing import Any

import numpy as np

from livefleet.ai.pipelines.voice_speecht5 import SPEAKER_FILE, VOCODER_FOLDER

__all__ = ["write_tiny_speecht5", "write_tiny_vits"]

_WIDTH = 16
_SPEAKER = 16
_LETTERS = string.ascii_lowercase + string.digits + " ',.?!-"


def write_tiny_vits(folder: Path, *, seed: int = 0) -> None:
    """Make it as transformers saves it, and put it at `folder`. The same seed gives the same weights. Imports torch."""
    import torch
    from transformers import VitsConfig, VitsModel, VitsTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {letter: number for number, letter in enumerate(["<pad>", *_LETTERS, "<unk>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    VitsTokenizer(str(folder / "vocab.json"), phonemize=False).save_pretrained(folder)
    torch.manual_seed(seed)
    model: Any = VitsModel(
        VitsConfig(
            vocab_size=len(vocabulary),
            hidden_size=_WIDTH,
            num_hidden_layers=1,
            num_attention_heads=2,
            ffn_dim=32,
            flow_size=_WIDTH,
            spectrogram_bins=33,
            prior_encoder_num_flows=1,
            prior_encoder_num_wavenet_layers=1,
            posterior_encoder_num_wavenet_layers=1,
            duration_predictor_num_flows=1,
            duration_predictor_filter_channels=_WIDTH,
            depth_separable_num_layers=1,
            upsample_initial_channel=32,
            upsample_rates=[8, 8],
            upsample_kernel_sizes=[16, 16],
            resblock_kernel_sizes=[3],
            resblock_dilation_sizes=[[1]],
            sampling_rate=16_000,
        )
    )
    model.save_pretrained(folder)


def write_tiny_speecht5(folder: Path, *, seed: int = 0) -> None:
    """Make it with vocoder and speaker, and put it at `folder`. The same seed gives the same weights. Imports torch."""
    import torch
    from transformers import SpeechT5Config, SpeechT5ForTextToSpeech, SpeechT5HifiGan, SpeechT5HifiGanConfig
    from transformers import SpeechT5Tokenizer as Tokenizer

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer: Any = Tokenizer(str(_letters_file(folder)))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    model: Any = SpeechT5ForTextToSpeech(
        SpeechT5Config(
            vocab_size=len(tokenizer),
            hidden_size=_WIDTH,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=32,
            decoder_ffn_dim=32,
            speech_decoder_prenet_units=_WIDTH,
            speech_decoder_postnet_units=_WIDTH,
            speech_decoder_postnet_layers=2,
            speaker_embedding_dim=_SPEAKER,
            max_text_positions=600,
            max_speech_positions=2000,
        )
    )
    model.save_pretrained(folder)
    vocoder: Any = SpeechT5HifiGan(
        SpeechT5HifiGanConfig(
            upsample_initial_channel=32,
            upsample_rates=[8, 8, 4],
            upsample_kernel_sizes=[16, 16, 8],
            resblock_kernel_sizes=[3],
            resblock_dilation_sizes=[[1]],
        )
    )
    vocoder.save_pretrained(folder / VOCODER_FOLDER)
    np.save(folder / SPEAKER_FILE, np.random.default_rng(seed).normal(size=_SPEAKER).astype(np.float32))


def _letters_file(folder: Path) -> Path:
    """A model of SentencePiece that knows single letters."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([_LETTERS] * 4),
        model_writer=model,
        model_type="char",
        vocab_size=len(_LETTERS) + 4,
        hard_vocab_limit=False,
        bos_id=0, pad_id=1, eos_id=2, unk_id=3,
        minloglevel=2,
    )  # fmt: skip
    file = folder / "spm_char.model"
    file.write_bytes(model.getvalue())
    return file
