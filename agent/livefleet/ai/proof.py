"""Showing that a loaded model works, by a small job like any other: which one, when, and whom it gives way to."""

import asyncio
from collections.abc import Callable
from typing import Final

from livefleet.ai.catalogue import Placement, Source
from livefleet.ai.client import RunnerClient
from livefleet.ai.jobs import AiJob
from livefleet.ai.launch import settings_of
from livefleet.ai.pipelines import kind_of

__all__ = ["PROOF_EVERY_S", "ProofClock", "Prover", "proof_job"]

PROOF_EVERY_S: Final = 3600.0
"""Where nothing else is declared."""


def proof_job(placement: Placement) -> AiJob:
    """The pipeline's own proof as a request for this model."""
    entry = placement.entry
    kind = kind_of(entry.pipeline)
    # What is elsewhere is not on this CPU, whatever its placement says, so its proof is of the size for a GPU.
    nowhere = Source(entry.model_id, is_folder=False, revision=entry.revision)
    settings = settings_of(placement, nowhere, request_timeout_s=1, cpu_threads=1, listen="127.0.0.1:0")
    if entry.url is not None:
        settings = settings.model_copy(update={"device": "elsewhere"})
    fields, upload = kind.proof(settings)
    given = fields.model_dump(mode="json", exclude_none=True) | {kind.model_field: entry.model_id}
    return AiJob(entry.pipeline, entry.model_id, given, units=0, upload=upload)


class ProofClock:
    """When the next proof is due. Whatever the runner answers shows that it works, so that counts as one.

    `every_s` 0: never. `clock`: the loop's, in seconds.
    """

    def __init__(self, every_s: float, clock: Callable[[], float]) -> None:
        self._every_s = every_s
        self._clock = clock
        self._proved_at = clock()

    @property
    def ago_s(self) -> float:
        """Since it was shown last."""
        return self._clock() - self._proved_at

    def proved(self) -> None:
        """It was shown now."""
        self._proved_at = self._clock()

    def is_due(self) -> bool:
        """Whether that was too long ago."""
        return 0 < self._every_s <= self.ago_s


class Prover:
    """Asks a runner for its proof, unless somebody comes who pays."""

    def __init__(self, client: RunnerClient, job: AiJob) -> None:
        self._client = client
        self._job = job
        self._under_way: asyncio.Timeout | None = None

    async def prove(self) -> bool:
        """Whether it was made; False where it gave way. Raises RunnerRefused."""
        try:
            async with asyncio.timeout(None) as self._under_way:
                await self._client.run(self._job)
        except TimeoutError:
            return False
        finally:
            self._under_way = None
        return True

    def give_way(self) -> None:
        """Let go of the proof under way: its connection closes, and the runner stops at the next step."""
        if self._under_way is not None and not self._under_way.expired():
            self._under_way.reschedule(asyncio.get_running_loop().time())
