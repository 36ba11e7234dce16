"""LoRAs of a loaded model: small matrices beside its weights, added for one job and only in that job's thread.

The weights themselves are never touched, so jobs with and without LoRAs share them, and nothing has to be undone.
"""
# diffusers and torch annotate half of their functions.
# mypy: disable-error-code="no-untyped-call"

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livefleet.ai.errors import InferenceFailed
from livefleet.ai.pipelines.lora_request import MAX_LORAS, lora_strengths

if TYPE_CHECKING:
    import torch

__all__ = ["LoraShelf"]

log = logging.getLogger(__name__)

_MOST_KEPT = 12  # in memory, as in ai-runner
_MAX_FILE = 2 * 1024**3  # bytes; a client's wish must not fill a disk
_FOLDER = "loras"  # inside the model's own folder
_USUAL_FILE = "pytorch_lora_weights.safetensors"

# The three spellings of a matrix that are about: PEFT's, diffusers' and that of its old attention processors.
_KEY = re.compile(
    r"(?P<part>\w+)\.(?P<module>.+?)(?:\.processor)?"
    r"\.(?:lora_(?P<letter>[AB])|(?:(?P<old>to_\w+?)_lora|lora_linear_layer|lora)\.(?P<side>down|up))\.weight"
)
_TEXT_NAMES = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}


@dataclass(slots=True)
class _Pair:
    """What a layer's output gets: `strength * scale * up(down(input))`."""

    down: "torch.Tensor"  # [rank, in], of a convolution [rank, in, kernel, kernel]
    up: "torch.Tensor"  # [out, rank], of a convolution [out, rank, 1, 1]
    scale: float  # alpha / rank


class LoraShelf:
    """Loads LoRAs by name and keeps the latest few. `folder`: the model's own, where there is one."""

    def __init__(self, pipeline: Any, *, folder: Path | None, served: bool) -> None:
        self._pipeline = pipeline
        self._folder = folder
        self._served = served
        self._loading = threading.Lock()
        self._kept: OrderedDict[str, Mapping[Any, _Pair]] = OrderedDict()  # by name, then by layer
        self._hooked: set[Any] = set()
        self._job = threading.local()

    @contextmanager
    def applied(self, text: str) -> Iterator[None]:
        """Have the LoRAs of a request in this thread while the block lasts. Raises InferenceFailed."""
        try:
            strengths = lora_strengths(text)
        except ValueError as error:
            raise InferenceFailed(str(error).removesuffix(".")) from error
        if not strengths:
            yield
            return
        if not self._served:
            raise InferenceFailed("LoRAs are not served by this runner")
        active: dict[Any, list[tuple[float, _Pair]]] = {}
        with self._loading:
            for name, strength in strengths.items():
                for layer, pair in self._pairs_of(name).items():
                    active.setdefault(layer, []).append((strength, pair))
        self._job.active = active
        try:
            yield
        finally:
            self._job.active = None

    def _pairs_of(self, name: str) -> Mapping[Any, _Pair]:
        if name not in self._kept:
            self._kept[name] = self._load(name)
            log.info("ai.lora_loaded", extra={"lora": name, "layers": len(self._kept[name])})
        self._kept.move_to_end(name)
        while len(self._kept) > max(_MOST_KEPT, MAX_LORAS):
            self._kept.popitem(last=False)
        return self._kept[name]

    def _load(self, name: str) -> Mapping[Any, _Pair]:
        file = self._file_of(name)
        try:
            unet = getattr(self._pipeline, "unet", None)
            found = self._pipeline.lora_state_dict(
                str(file.parent), weight_name=file.name, use_safetensors=True, local_files_only=True,
                **({} if unet is None else {"unet_config": unet.config}),
            )  # fmt: skip
            matrices, alphas = found if isinstance(found, tuple) else (found, None)
            pairs = self._pairs(matrices, alphas or {})
        except _Incompatible as error:
            raise InferenceFailed(f"LoRa incompatible with base model: '{self._pipeline.name_or_path}'") from error
        except Exception as error:
            # Files of strangers fail in whatever way; the request names one, so it is the request's fault.
            raise InferenceFailed(f"Unable to load LoRas for adapter '{name}'") from error
        for layer in pairs:
            if layer not in self._hooked:
                layer.register_forward_hook(self._add)
                self._hooked.add(layer)
        return pairs

    def _file_of(self, name: str) -> Path:
        """In the model's folder, else from the hub."""
        if self._folder is not None:
            place = self._folder / _FOLDER / name
            files = sorted(place.glob("*.safetensors")) if place.is_dir() else []
            if files:
                return next((file for file in files if file.name == _USUAL_FILE), files[0])
        try:
            return _from_hub(name)
        except _TooLarge as error:
            raise InferenceFailed(f"LoRa '{name}' is larger than {_MAX_FILE} bytes") from error
        except Exception as error:
            raise InferenceFailed(f"LoRa repository '{name}' not found") from error

    def _pairs(self, matrices: Mapping[str, "torch.Tensor"], alphas: Mapping[str, float]) -> Mapping[Any, _Pair]:
        """By layer. Raises _Incompatible, and ValueError or KeyError for what is no LoRA."""
        sides: dict[tuple[str, str], dict[bool, torch.Tensor]] = {}  # down is True
        # One that says nothing has its rank. Converted files name them after the down matrix, others after the layer.
        scales = dict(alphas) | {key: float(value) for key, value in matrices.items() if key.endswith(".alpha")}
        for key, matrix in matrices.items():
            if key.endswith(".alpha"):
                continue
            found = _KEY.fullmatch(key)
            if found is None:
                raise ValueError(f"{key} is no LoRA's")
            part, module, old = found["part"], found["module"], found["old"]
            if old is not None:
                module = f"{module}.{_TEXT_NAMES[old] if part.startswith('text') else _network_name(old)}"
            sides.setdefault((part, module), {})[found["letter"] == "A" or found["side"] == "down"] = matrix
            if f"{key}.alpha" in scales:
                scales[f"{part}.{module}.alpha"] = scales[f"{key}.alpha"]
        if not sides:
            raise ValueError("no LoRA in it")
        pairs: dict[Any, _Pair] = {}
        for (part, module), both in sides.items():
            layer = self._layer(part, module)
            weight = layer.weight
            down, up = (_shaped(both[side].to(weight.device, weight.dtype), weight.ndim) for side in (True, False))
            if (up.shape[0], *down.shape[1:]) != tuple(weight.shape) or up.shape[1] != down.shape[0]:
                raise _Incompatible(f"{part}.{module}")
            rank = down.shape[0]
            pairs[layer] = _Pair(down, up, scales.get(f"{part}.{module}.alpha", rank) / rank)
        return pairs

    def _layer(self, part: str, module: str) -> Any:
        import torch

        root = getattr(self._pipeline, part, None)
        for path in (module, module.removeprefix("text_model.")):
            try:
                layer = root.get_submodule(path) if root is not None else None
            except AttributeError:
                continue
            # Groups of a convolution would need their own sums; no diffusion model has them.
            if isinstance(layer, torch.nn.Linear) or (isinstance(layer, torch.nn.Conv2d) and layer.groups == 1):
                return layer
        raise _Incompatible(f"{part}.{module}")

    def _add(self, layer: Any, inputs: tuple[Any, ...], output: "torch.Tensor") -> "torch.Tensor":
        active: dict[Any, list[tuple[float, _Pair]]] | None = getattr(self._job, "active", None)
        for strength, pair in active.get(layer, ()) if active else ():
            output = output + strength * pair.scale * _product(layer, pair, inputs[0])
        return output


class _Incompatible(Exception):
    """A matrix for a layer that the model does not have, or not in this shape."""


class _TooLarge(Exception):
    """A file that is not downloaded."""


def _product(layer: Any, pair: _Pair, value: "torch.Tensor") -> "torch.Tensor":
    from torch.nn import functional

    if pair.down.ndim == 2:
        return functional.linear(functional.linear(value, pair.down), pair.up)
    low = functional.conv2d(value, pair.down, None, layer.stride, layer.padding, layer.dilation)
    return functional.conv2d(low, pair.up)


def _shaped(matrix: "torch.Tensor", dimensions: int) -> "torch.Tensor":
    """As many dimensions as the layer's weight has; files write convolutions of one pixel either way."""
    if matrix.ndim == dimensions:
        return matrix
    return matrix[..., None, None] if dimensions == 4 else matrix.flatten(1)


def _network_name(old: str) -> str:
    return "to_out.0" if old == "to_out" else old


def _from_hub(name: str) -> Path:
    """The LoRA's file, downloaded once. Raises _TooLarge, and whatever the hub's client does."""
    from huggingface_hub import HfApi, hf_hub_download

    files = HfApi().model_info(name, files_metadata=True, timeout=20).siblings or []
    weights = {file.rfilename: file.size for file in files if file.rfilename.endswith(".safetensors")}
    file = _USUAL_FILE if _USUAL_FILE in weights else min(weights)
    size = weights[file]
    if size is None or size > _MAX_FILE:
        raise _TooLarge
    return Path(hf_hub_download(name, file))
