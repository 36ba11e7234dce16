"""Getting a diffusers pipeline out of a folder or the hub: its files, its type, and what some models need besides."""
# diffusers annotates half of its functions.
# mypy: disable-error-code="no-untyped-call"

from pathlib import Path
from typing import TYPE_CHECKING, Any

from livefleet.ai.pipelines.distilled import LIGHTNING_BASE, LIGHTNING_REPOSITORY, Lightning, distillation_of
from livefleet.ai.settings import RunnerSettings

if TYPE_CHECKING:
    import torch

__all__ = ["load_pipeline"]

_HALF = "float16"
_VARIANT = "fp16"


def load_pipeline(pipeline_class: Any, settings: RunnerSettings, dtype: "torch.dtype", device: "torch.device") -> Any:
    """`pipeline_class`: one of diffusers', or one of its Auto classes. Raises whatever diffusers does."""
    parts: dict[str, Any] = {}
    if settings.controlnet is not None:
        from diffusers import ControlNetModel

        parts["controlnet"] = _from(ControlNetModel, settings.controlnet, None, dtype)
    distilled = distillation_of(settings.model_id)
    if isinstance(distilled, Lightning):
        return _lightning(pipeline_class, settings, distilled, dtype, **parts).to(device)
    return _from(pipeline_class, settings.source, settings.revision, dtype, **parts).to(device)


def _from(pipeline_class: Any, source: str, revision: str | None, dtype: "torch.dtype", **parts: Any) -> Any:
    variant = _VARIANT if _has_half(source, revision, dtype) else None
    return pipeline_class.from_pretrained(source, revision=revision, dtype=dtype, variant=variant, **parts)


def _has_half(source: str, revision: str | None, dtype: "torch.dtype") -> bool:
    """Whether to take files of half the size: for a type of half the size, or because there are no others."""
    folder, dtype_is_half = Path(source), str(dtype) == f"torch.{_HALF}"
    if folder.is_dir():
        files = {*folder.glob("*.safetensors"), *folder.glob("*/*.safetensors")} - {*folder.glob("loras/*")}
        halves = {file for file in files if file.name.endswith(f".{_VARIANT}.safetensors")}
        return bool(halves) and (dtype_is_half or halves == files)
    if not dtype_is_half:
        return False
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        names = HfApi().list_repo_files(source, revision=revision)
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError):
        return False
    return any(name.endswith(f".{_VARIANT}.safetensors") for name in names)


def _lightning(
    pipeline_class: Any, settings: RunnerSettings, lightning: Lightning, dtype: "torch.dtype", **parts: Any
) -> Any:
    """SDXL with the network for that many steps.

    A folder holds SDXL and, beside its `model_index.json`, the network's file; from the hub they are two repositories.
    """
    from diffusers import EulerDiscreteScheduler, UNet2DConditionModel
    from huggingface_hub import hf_hub_download
    from safetensors.torch import load_file

    folder = Path(settings.source)
    if folder.is_dir():
        base, file = settings.source, str(folder / lightning.network_file)
        if not Path(file).is_file():
            raise FileNotFoundError(f"{file} is missing; {LIGHTNING_REPOSITORY} has it")
    else:
        base, file = LIGHTNING_BASE, hf_hub_download(LIGHTNING_REPOSITORY, lightning.network_file)
    network = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(base, subfolder="unet"))
    network.load_state_dict(load_file(file))
    pipeline = _from(pipeline_class, base, None, dtype, unet=network.to(dtype), **parts)
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config, timestep_spacing="trailing")
    return pipeline
