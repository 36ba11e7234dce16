"""What all diffusers pipelines have in common: one set of weights, many jobs over it, seeds, and an early end."""
# diffusers annotates half of its functions and hides a base class.
# mypy: disable-error-code="no-untyped-call,attr-defined"

import copy
import inspect
import queue
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from livefleet.ai.batching import check_all
from livefleet.ai.errors import InferenceFailed
from livefleet.ai.jobs import AiResult, Media
from livefleet.ai.kinds import BatchedJob
from livefleet.ai.pipelines.checkpoints import load_pipeline
from livefleet.ai.pipelines.device import OnDevice, generator, memory_errors
from livefleet.ai.pipelines.loras import LoraShelf
from livefleet.ai.pipelines.pictures import as_png
from livefleet.ai.pipelines.safety import SafetyCheck
from livefleet.ai.settings import RunnerSettings
from livefleet.ai.stop import Stop

__all__ = ["Diffusion"]


class Diffusion(OnDevice):
    """One set of weights, and as many pipelines over it as there may be jobs at once.

    What a diffusers pipeline changes while it works, each has for itself: schedulers hold the state of a job,
    tokenizers the padding that they were last asked for, and some autoencoders are cast to a wider type and back.
    Weights are otherwise only read.
    """

    def __init__(self, settings: RunnerSettings, pipeline_class: Any) -> None:
        """Load the weights by diffusers' class for them; takes seconds to minutes. Raises whatever diffusers does."""
        from diffusers.utils import logging as diffusers_logging
        from transformers.utils import logging as transformers_logging

        super().__init__(settings)
        transformers_logging.disable_progress_bar()
        diffusers_logging.disable_progress_bar()
        diffusers_logging.set_verbosity_error()
        first = load_pipeline(pipeline_class, settings, self.dtype, self.device)
        self._safety = SafetyCheck.taken_from(first, settings, self.device)
        folder = Path(settings.source)
        self._loras = LoraShelf(first, folder=folder if folder.is_dir() else None, served=settings.loras)
        self._taken = frozenset(inspect.signature(first.__call__).parameters)
        """What this pipeline can be told."""

        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        others = (
            type(first)(**first.components | _own_parts(first), **_flags_of(first))
            for _ in range(settings.capacity - 1)
        )
        for pipeline in (first, *others):
            pipeline.set_progress_bar_config(disable=True)
            self._free.put(pipeline)

    @contextmanager
    def _a_pipeline(self, loras: str = "") -> Iterator[Any]:
        """A pipeline that nobody else uses, with a request's LoRAs. Raises what is wrong in the errors' own terms."""
        pipeline = self._free.get()
        try:
            with self._loras.applied(loras), memory_errors(), _faults():
                yield pipeline
        finally:
            _narrow(pipeline)
            self._free.put(pipeline)

    def _call(self, pipeline: Any, arguments: Mapping[str, Any], seed: int, stop: Stop) -> Any:
        """Run it once; `arguments` that this pipeline does not know are left out. Raises as `stop` says."""
        stop.check()
        known = {name: value for name, value in arguments.items() if name in self._taken}
        return pipeline(**known, **_looking_at(stop.check, self._taken), generator=generator(seed))

    def _pictures(
        self, arguments: Mapping[str, Any], seeds: Iterable[int], stop: Stop, *, loras: str = "", safety_check: bool
    ) -> AiResult:
        """One picture a seed, one after another. A picture that is flagged comes black, as diffusers has it."""
        images, media = [], {}
        with self._a_pipeline(loras) as pipeline:
            for number, seed in enumerate(seeds):
                picture = self._call(pipeline, arguments, seed, stop).images[0]
                (nsfw,) = self._safety.flags([picture], wanted=safety_check)
                media[str(number)] = _as_media(picture, nsfw=nsfw)
                images.append({"url": str(number), "seed": seed, "nsfw": nsfw})
        return AiResult({"images": images}, media)

    def _pictures_together(
        self, arguments: Mapping[str, Any], jobs: Sequence[BatchedJob[Any]], *, loras: str = "", safety_check: bool
    ) -> list[AiResult]:
        """One picture a job, in one go. `arguments` hold lists where jobs differ. Each has the noise of its own seed.

        What a device rounds depends on how many pictures it computes at once, so a picture can differ from the one that
        its job gives alone: on a CPU by 1 of 255 in about one value of 5000.
        """
        known = {name: value for name, value in arguments.items() if name in self._taken}
        noises = [generator(job.seed) for job in jobs]
        with self._a_pipeline(loras) as pipeline:
            check_all(jobs)
            looking = _looking_at(lambda: check_all(jobs), self._taken)
            pictures = pipeline(**known, **looking, generator=noises).images
            flags = self._safety.flags(pictures, wanted=safety_check)
        return [
            AiResult({"images": [{"url": "0", "seed": job.seed, "nsfw": nsfw}]}, {"0": _as_media(picture, nsfw=nsfw)})
            for job, picture, nsfw in zip(jobs, pictures, flags, strict=True)
        ]


def _as_media(picture: Any, *, nsfw: bool) -> Media:
    return Media(as_png(picture.point(lambda _: 0) if nsfw else picture), "image/png")


def _looking_at(check: Callable[[], None], taken: Collection[str]) -> dict[str, Any]:
    """The argument by which this pipeline is asked to stop between two steps."""
    if "callback_on_step_end" in taken:

        def at_step_end(_pipeline: Any, _step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            check()
            return tensors

        return {"callback_on_step_end": at_step_end}
    return {"callback": lambda *_: check()} if "callback" in taken else {}


@contextmanager
def _faults() -> Iterator[None]:
    """A pipeline refuses arguments by ValueError: the request's fault, and in ai-runner's words."""
    try:
        yield
    except ValueError as error:
        raise InferenceFailed(f"Error during model execution: {error}".removesuffix(".")) from error


def _own_parts(pipeline: Any) -> dict[str, Any]:
    from diffusers import SchedulerMixin
    from transformers import PreTrainedTokenizerBase

    own: dict[str, Any] = {}
    for name, part in pipeline.components.items():
        if isinstance(part, SchedulerMixin):
            own[name] = type(part).from_config(part.config)
        elif isinstance(part, PreTrainedTokenizerBase) or (name == "vae" and _is_cast(part)):
            own[name] = copy.deepcopy(part)
    return own


def _is_cast(vae: Any) -> bool:
    """Whether pipelines compute with it in a wider type than it is kept in."""
    import torch

    return bool(vae.dtype != torch.float32 and vae.config.get("force_upcast", False))


def _narrow(pipeline: Any) -> None:
    """Undo what a job that ended early left: it would let the next one mix types."""
    vae = getattr(pipeline, "vae", None)
    network = getattr(pipeline, "unet", None)
    if vae is not None and network is not None and vae.dtype != network.dtype:
        vae.to(dtype=network.dtype)


def _flags_of(pipeline: Any) -> dict[str, Any]:
    """Constructor arguments of a pipeline that are settings, not parts."""
    taken = inspect.signature(type(pipeline).__init__).parameters
    parts = pipeline.components
    return {name: value for name, value in pipeline.config.items() if name in taken and name not in parts}
