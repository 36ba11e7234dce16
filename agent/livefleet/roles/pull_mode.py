"""Pull mode as the agent runs it: the bundle's reader, its loop, and what is told of both."""

import threading
from collections.abc import Callable
from typing import Any

from livefleet.health import Reading
from livefleet.kernel import BadInput, Blocking, Clock, ConditionBoard
from livefleet.pull import BundleReader, PullStore, fetcher_of
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import PulledSpecResource, Takeover
from livefleet.spec import NodeSpec

__all__ = ["PullMode", "pull_store"]


def pull_store(spec: NodeSpec) -> PullStore:
    """Where the node keeps what it pulls."""
    return PullStore(spec.paths.state / "pull")


class PullMode:
    """For a node whose settings say `pull`. Raises BadInput when the bundle's root is not on the host."""

    def __init__(
        self, spec: NodeSpec, applied: Callable[[], str], agent: Takeover, clock: Clock, board: ConditionBoard
    ) -> None:
        assert spec.pull is not None
        store = pull_store(spec)
        trust = spec.paths.resolve(spec.pull.trust)
        try:
            root = trust.read_bytes()
        except OSError as error:
            raise BadInput(f"{trust}: cannot read the bundle's root: {error.strerror}; apply brings it") from error
        self._stopped = threading.Event()
        self._blocking = Blocking("pull")
        reader = BundleReader(
            spec.pull.url, root, store.folder / "metadata", spec.name, fetcher_of(spec.pull.url, self._stopped)
        )
        self._resource = PulledSpecResource(spec.pull, applied, reader, store, agent, clock, self._blocking)
        self._loop = ReconcileLoop(self._resource, board)

    async def run(self) -> None:
        """Until cancelled. A look that is under way then ends within seconds."""
        async with self._blocking:
            try:
                await self._loop.run()
            finally:
                self._stopped.set()

    def report(self) -> dict[str, Any]:
        """For /status."""
        return self._resource.report()

    def readings(self) -> list[Reading]:
        """For /metrics."""
        report = self.report()
        told: list[Reading] = [
            (
                "livefleet_pull_unseen_seconds",
                "gauge",
                "Time since the bundle was last seen and believed.",
                {},
                report["unseen_for_s"],
            )
        ]
        if report["bundle_version"] is not None:
            told.append(
                (
                    "livefleet_pull_bundle_version",
                    "gauge",
                    "Version of the bundle that was seen last.",
                    {},
                    report["bundle_version"],
                )
            )
        if report["held_version"] is not None:
            told.append(
                (
                    "livefleet_pull_held_version",
                    "gauge",
                    "Version of the bundle whose settings are in force or on trial.",
                    {},
                    report["held_version"],
                )
            )
        return told
