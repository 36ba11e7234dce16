"""A node's side of central monitoring: the door that monitors come to, and its lines on their way to them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from prometheus_client import CollectorRegistry

from livefleet.health import Reading
from livefleet.health.log_shipper import open_log_shipper
from livefleet.health.open_door import keep_open
from livefleet.health.scrape_door import ScrapeDoor, scrape_door
from livefleet.kernel import Clock, ConditionBoard
from livefleet.spec import NodeSpec

__all__ = ["SCRAPE_DOOR_OPEN", "Monitored"]

SCRAPE_DOOR_OPEN: Final = "ScrapeDoorOpen"


class Monitored:
    """Does what is declared. Neither a monitor that is away nor a door that cannot be opened stops the node."""

    def __init__(self, spec: NodeSpec, registry: CollectorRegistry, board: ConditionBoard, clock: Clock) -> None:
        self._spec = spec
        self._registry = registry
        self._board = board
        self._clock = clock
        self._shipper = open_log_shipper(spec, board)

    @property
    def duties(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """What runs as long as the node does."""
        ships = () if self._shipper is None else (self._shipper.run,)
        return ships if self._spec.monitoring.scrape is None else (*ships, self._keep_door)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """The process's lines are kept for shipping meanwhile."""
        if self._shipper is None:
            yield
            return
        with self._shipper.attached():
            yield

    def readings(self) -> list[Reading]:
        """For /metrics."""
        return [] if self._shipper is None else self._shipper.readings()

    async def _keep_door(self) -> None:
        await keep_open(SCRAPE_DOOR_OPEN, self._board, self._door, "the door for monitors")

    def _door(self) -> ScrapeDoor:
        return scrape_door(self._spec, self._registry, self._clock)
