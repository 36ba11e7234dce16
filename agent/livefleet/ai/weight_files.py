"""Which of a repository's files a pipeline needs, and what a folder of them must hold. Pure.

A repository often holds the same weights five times: as safetensors and pickles, in two precisions, for other
frameworks, as one file beside the parts. One of each is enough.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from livefleet.ai.hub import HubFile
from livefleet.spec import Pipeline

__all__ = ["INDEX", "components_of", "folder_fault", "needed_files"]

INDEX: Final = "model_index.json"
"""What makes a repository a diffusers pipeline: its parts, each in a folder of that name."""

_DIFFUSERS: Final = frozenset({
    Pipeline.TEXT_TO_IMAGE, Pipeline.IMAGE_TO_IMAGE, Pipeline.IMAGE_TO_VIDEO, Pipeline.UPSCALE
})  # fmt: skip
_SMALL: Final = frozenset({".json", ".txt", ".model", ".jinja", ".yaml", ".yml", ".tiktoken", ".spm", ".vocab", ".npy"})
_FORMATS: Final = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf")  # best first
_OTHER_FRAMEWORKS: Final = re.compile(
    r"(^|/)(flax|tf|rust|openvino|onnx|coreml)[_/]|_flax|(^|/)original/", re.IGNORECASE
)
_WEIGHTS: Final = re.compile(
    r"(?P<stem>[A-Za-z0-9_.+-]+?)"
    r"(?:-\d{5}-of-\d{5})?"
    r"(?:\.(?P<variant>[A-Za-z0-9_]+?))?"
    r"(?:-\d{5}-of-\d{5})?"
    r"(?P<format>\.(?:safetensors|bin|pt|pth|ckpt|gguf))"
    r"(?P<index>\.index(?:\.(?P<index_variant>[a-z0-9_]+))?\.json)?"
)
_STEMS: Final = frozenset({
    "model", "pytorch_model", "diffusion_pytorch_model", "adapter_model", "pytorch_lora_weights", "ip_adapter",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Weights:
    """A file of weights by the parts of its name."""

    file: HubFile
    folder: str
    stem: str
    variant: str | None
    format: str


def needed_files(
    files: Iterable[HubFile],
    pipeline: Pipeline,
    dtype: str,
    components: Collection[str] | None = None,
    *,
    without: str | None = None,
) -> tuple[HubFile, ...]:
    """The files to fetch, smallest first.

    Args:
        files: All of the revision's.
        pipeline: What they are for.
        dtype: What they are loaded as: float16 takes a variant `fp16` where there is one.
        components: The folders that a diffusers pipeline has (`components_of`); None for anything else.
        without: One of them whose weights come from elsewhere: only its settings are needed.
    """
    # Parts of a pipeline are loaded with a variant; whatever is loaded by itself, as it is.
    variants = ("fp16", None) if dtype == "float16" and components is not None else (None, "fp16")
    small: list[HubFile] = []
    weights: list[_Weights] = []
    voices: list[HubFile] = []
    for file in files:
        path = PurePosixPath(file.path)
        if path.suffix == ".onnx":
            voices.append(file)
        if any(part.startswith(".") for part in path.parts) or _OTHER_FRAMEWORKS.search(file.path):
            continue
        folder = str(path.parent) if path.parent.parts else ""
        if components is not None and folder and path.parts[0] not in components:
            continue
        if (found := _weights(file, folder)) is not None:
            if folder != without:
                weights.append(found)
        elif path.suffix.lower() in _SMALL:
            small.append(file)
    if pipeline is Pipeline.TEXT_TO_SPEECH and not weights and len(voices) == 1:
        return (*small, *voices)  # Piper's
    chosen = [weight.file for group in _by_folder(weights, components) for weight in _best(group, pipeline, variants)]
    return tuple(sorted({*small, *chosen}, key=lambda file: (file.size, file.path)))


def components_of(index: bytes | str) -> frozenset[str]:
    """The folders that `model_index.json` names. Raises ValueError for what is no such index."""
    data = json.loads(index)
    if not isinstance(data, dict):
        raise ValueError(f"{INDEX} is no object")  # noqa: TRY004 -- as for what is no JSON
    return frozenset(
        name
        for name, origin in data.items()
        if isinstance(origin, list) and len(origin) == 2 and any(part is not None for part in origin)
    )


def folder_fault(pipeline: Pipeline, folder: Path) -> str | None:
    """Why a folder cannot be loaded for a pipeline; None where nothing speaks against it."""
    if pipeline in _DIFFUSERS:
        if (folder / INDEX).is_file():
            return None
        return f"{folder} has no {INDEX}: not a diffusers pipeline, or not all of it"
    ggufs = sorted(folder.glob("*.gguf")) if pipeline is Pipeline.LLM else []
    if len(ggufs) == 1:
        return None
    if len(ggufs) > 1:
        return f"{folder} has {len(ggufs)} files *.gguf; leave one"
    if pipeline is Pipeline.TEXT_TO_SPEECH and any(folder.glob("*.onnx")):
        return None
    if not (folder / "config.json").is_file():
        return f"{folder} has no config.json: not a model as transformers saves it, or not all of it"
    return None


def _weights(file: HubFile, folder: str) -> _Weights | None:
    match = _WEIGHTS.fullmatch(PurePosixPath(file.path).name)
    if match is None:
        return None
    variant = match["index_variant"] or match["variant"]
    return _Weights(file, folder, match["stem"], variant, match["format"])


def _by_folder(weights: Iterable[_Weights], components: Collection[str] | None) -> Iterable[list[_Weights]]:
    """Weights that are alternatives of each other. The parts of a pipeline are enough without the whole in one file."""
    folders: dict[str, list[_Weights]] = {}
    for weight in weights:
        if components is None or weight.folder:
            folders.setdefault(weight.folder, []).append(weight)
    return folders.values()


def _best(group: list[_Weights], pipeline: Pipeline, variants: Sequence[str | None]) -> list[_Weights]:
    """One format in one variant. Names that loaders look for, where there are any."""
    if pipeline is Pipeline.AUDIO_TO_TEXT and _is_ctranslate(group):
        return [weight for weight in group if weight.stem == "model" and weight.format == ".bin"]
    known = [weight for weight in group if weight.stem in _STEMS] or group
    formats = {weight.format for weight in known}
    best = next(suffix for suffix in _FORMATS if suffix in formats)
    same: Mapping[str | None, list[_Weights]] = _by_variant(weight for weight in known if weight.format == best)
    variant = next((name for name in variants if name in same), next(iter(sorted(same, key=str))))
    return same[variant]


def _by_variant(weights: Iterable[_Weights]) -> dict[str | None, list[_Weights]]:
    variants: dict[str | None, list[_Weights]] = {}
    for weight in weights:
        variants.setdefault(weight.variant, []).append(weight)
    return variants


def _is_ctranslate(group: list[_Weights]) -> bool:
    """faster-whisper's format: one model.bin, and nothing that transformers would load."""
    return {(weight.stem, weight.format) for weight in group} == {("model", ".bin")}
