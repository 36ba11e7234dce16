"""What serves a model, as the pool sees it: a process of ours, or something that runs elsewhere."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol

from livefleet.ai.advertising import RunnerView
from livefleet.ai.catalogue import Placement
from livefleet.ai.jobs import AiJob, AiResult

__all__ = ["Served"]


class Served(Protocol):
    """One runner. Belongs to one event loop."""

    in_use: int
    """Requests that hold a place; the pool counts them."""

    @property
    def placement(self) -> Placement:
        """What was declared, and where it runs."""
        ...

    @property
    def pid(self) -> int | None:
        """Its process, while it has one of ours."""
        ...

    @property
    def proved_ago_s(self) -> float | None:
        """Seconds since it showed last that it works; None while it is not there."""
        ...

    def view(self) -> RunnerView:
        """What is told of it."""
        ...

    async def run(self) -> None:
        """Keep it, or keep looking at it, until cancelled."""
        ...

    async def run_job(self, job: AiJob) -> AiResult:
        """Have it done. Raises RunnerRefused with the text for gateways. Cancelling stops the computing."""
        ...

    def stream_job(self, job: AiJob) -> AsyncGenerator[Mapping[str, Any], None]:
        """Its answer in chunks. Raises RunnerRefused; closing it stops the computing."""
        ...
