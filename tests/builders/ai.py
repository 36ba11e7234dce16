"""Models, requests and views for tests."""

from pathlib import Path
from typing import Any

from livefleet.ai import AdvertisedModel, AiJob, AiResult, Media, Placement, WatchLimits, kind_of, parse_job
from livefleet.ai.advertising import RunnerView
from livefleet.ai.settings import RunnerSettings
from livefleet.ai.watch import RunnerState
from livefleet.spec import ModelEntry, Pipeline

MODEL_ID = "livefleet/tiny"

# Machines under test are slow and shared; none of these is waited out when all goes well.
PATIENT = WatchLimits(load_timeout_s=180, loading_every_s=0.2, health_every_s=0.5, health_timeout_s=30, stop_grace_s=10)


def an_entry(**fields: Any) -> ModelEntry:
    return ModelEntry(**{"pipeline": Pipeline.TEXT_TO_IMAGE, "model_id": MODEL_ID, "device": "cpu"} | fields)


def a_placement(**fields: Any) -> Placement:
    return Placement(entry=an_entry(**fields), device="cpu", dtype="float32")


def a_job(**fields: Any) -> AiJob:
    """A small picture."""
    small = {"prompt": "a cat", "model_id": MODEL_ID, "height": 64, "width": 64, "num_inference_steps": 2}
    return parse_job(kind_of(Pipeline.TEXT_TO_IMAGE), small | fields)


def images(*pngs: bytes, first_seed: int = 0, nsfw: bool = False) -> AiResult:
    """What a pipeline that makes pictures answers."""
    entries = [{"url": str(n), "seed": first_seed + n, "nsfw": nsfw} for n in range(len(pngs))]
    return AiResult({"images": entries}, {str(n): Media(png, "image/png") for n, png in enumerate(pngs)})


def pngs(result: AiResult) -> list[bytes]:
    """The pictures in the order of the answer."""
    return [result.media[entry["url"]].data for entry in result.body["images"]]


def seeds(result: AiResult) -> list[int]:
    """Theirs."""
    return [entry["seed"] for entry in result.body["images"]]


def a_view(**fields: Any) -> RunnerView:
    defaults = {
        "pipeline": "text-to-image",
        "model_id": MODEL_ID,
        "declared_warm": True,
        "state": RunnerState.READY,
        "reason": "Answering",
        "message": "loaded",
        "faulty": False,
        "capacity": 1,
        "in_use": 0,
        "runner_version": "0.14.1",
    }
    return RunnerView(**defaults | fields)


def an_advert(**fields: Any) -> AdvertisedModel:
    defaults = {
        "pipeline": "text-to-image",
        "model_id": MODEL_ID,
        "warm": True,
        "capacity": 1,
        "capacity_in_use": 0,
        "runner_version": "0.14.1",
    }
    return AdvertisedModel(**defaults | fields)


def runner_settings(**fields: Any) -> RunnerSettings:
    defaults = {
        "pipeline": Pipeline.TEXT_TO_IMAGE,
        "model_id": MODEL_ID,
        "source": "/nowhere",
        "dtype": "float32",
        "device": "cpu",
        "capacity": 1,
        "cpu_threads": 1,
        "request_timeout_s": 60,
        "socket": Path("/nowhere/ai.sock"),
        "parent": 1,
    }
    return RunnerSettings(**defaults | fields)
