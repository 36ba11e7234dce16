"""Whisper's weights as CTranslate2 keeps them, written as transformers takes them: one model for both backends."""

import json
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

__all__ = ["write_as_transformers"]

_TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)
_END, _START, _NO_TIMES = 50256, 50257, 50362  # tokens of the models for English


def write_as_transformers(converted: Path, folder: Path) -> None:
    """`converted`: a model for English alone. float16 as it is there."""
    weights = _read(converted / "model.bin")
    folder.mkdir(parents=True)
    save_file(_renamed(weights), folder / "model.safetensors", {"format": "pt"})
    shutil.copy(converted / "tokenizer.json", folder)
    known = json.loads((converted / "config.json").read_text())
    special = {"pad_token_id": _END, "bos_token_id": _END, "eos_token_id": _END, "decoder_start_token_id": _START}
    documents: Mapping[str, Mapping[str, Any]] = {
        "config.json": special | _sizes(weights) | {"model_type": "whisper", "tie_word_embeddings": True},
        "generation_config.json": special
        | {
            "max_length": 448,
            "is_multilingual": False,
            "no_timestamps_token_id": _NO_TIMES,
            "max_initial_timestamp_index": 50,
            "return_timestamps": False,
            "alignment_heads": known["alignment_heads"],
            "suppress_tokens": known["suppress_ids"],
            "begin_suppress_tokens": known["suppress_ids_begin"],
        },
        "preprocessor_config.json": {"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 80},
        "tokenizer_config.json": {"tokenizer_class": "WhisperTokenizer", "model_max_length": 448},
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document))


def _read(file: Path) -> dict[str, np.ndarray]:
    """CTranslate2's binary format, version 6: the model's kind, its variables, and other names of them."""
    data, at = file.read_bytes(), 0

    def number(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(f"<{form}", data, at)
        at += struct.calcsize(f"<{form}")
        return value

    def text() -> str:
        nonlocal at
        size = number("H")
        at += size
        return data[at - size : at - 1].decode()

    assert (number("I"), text(), number("I")) == (6, "WhisperSpec", 3)
    found = {}
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind, size = _TYPES[number("B")], number("I")
        found[name] = np.frombuffer(data, kind, size // np.dtype(kind).itemsize, at).reshape(shape)
        at += size
    for _ in range(number("I")):
        other = text()
        found[other] = found[text()]
    return found


def _sizes(weights: Mapping[str, np.ndarray]) -> dict[str, int]:
    words, width = weights["decoder/embeddings/weight"].shape
    sizes = {"vocab_size": words, "d_model": width, "num_mel_bins": weights["encoder/conv1/weight"].shape[1]}
    for side in ("encoder", "decoder"):
        sizes[f"{side}_layers"] = len([n for n in weights if n.startswith(side) and n.endswith("ffn/linear_0/bias")])
        sizes[f"{side}_ffn_dim"] = weights[f"{side}/layer_0/ffn/linear_0/bias"].size
        sizes[f"{side}_attention_heads"] = int(weights[f"{side}/num_heads"])
    return sizes


def _renamed(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """CTranslate2 has the queries', keys' and values' matrices in one."""
    renamed = {"model.decoder.embed_tokens.weight": weights["decoder/embeddings/weight"]}
    for side in ("encoder", "decoder"):
        renamed[f"model.{side}.embed_positions.weight"] = weights[f"{side}/position_encodings/encodings"]
        renamed |= _norm(weights, f"{side}/layer_norm", f"model.{side}.layer_norm")
        for layer in range(_sizes(weights)[f"{side}_layers"]):
            old, new = f"{side}/layer_{layer}", f"model.{side}.layers.{layer}"
            renamed |= _attention(weights, f"{old}/self_attention", f"{new}.self_attn", "q_proj", "k_proj", "v_proj")
            if side == "decoder":
                renamed |= _attention(weights, f"{old}/attention", f"{new}.encoder_attn", "q_proj")
            renamed |= _norm(weights, f"{old}/ffn/layer_norm", f"{new}.final_layer_norm")
            for number in (0, 1):
                for kind in ("weight", "bias"):
                    renamed[f"{new}.fc{number + 1}.{kind}"] = weights[f"{old}/ffn/linear_{number}/{kind}"]
    for name in ("conv1", "conv2"):
        for kind in ("weight", "bias"):
            renamed[f"model.encoder.{name}.{kind}"] = weights[f"encoder/{name}/{kind}"]
    return {name: np.ascontiguousarray(value) for name, value in renamed.items() if not name.endswith("k_proj.bias")}


def _norm(weights: Mapping[str, np.ndarray], old: str, new: str) -> dict[str, np.ndarray]:
    return {f"{new}.weight": weights[f"{old}/gamma"], f"{new}.bias": weights[f"{old}/beta"]}


def _attention(weights: Mapping[str, np.ndarray], old: str, new: str, *first: str) -> dict[str, np.ndarray]:
    """`first`: what the first matrix holds; keys and values are in the second where they come from the encoder."""
    groups = [first, ("out_proj",)] if len(first) == 3 else [first, ("k_proj", "v_proj"), ("out_proj",)]
    found = _norm(weights, f"{old}/layer_norm", f"{new}_layer_norm")
    for number, names in enumerate(groups):
        for kind in ("weight", "bias"):
            parts = np.split(weights[f"{old}/linear_{number}/{kind}"], len(names))
            found |= {f"{new}.{name}.{kind}": part for name, part in zip(names, parts, strict=True)}
    return found
