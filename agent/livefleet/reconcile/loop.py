"""Keeps one resource as declared: observe, plan, act, wait, until cancelled."""

import asyncio
import logging
from typing import Generic, TypeVar

from livefleet.kernel import Condition, ConditionBoard, Status, Terminal, run_duty
from livefleet.reconcile.model import Resource

__all__ = ["ReconcileLoop"]

log = logging.getLogger(__name__)

Observed = TypeVar("Observed")


class ReconcileLoop(Generic[Observed]):
    """The endless loop of one resource. Events only `nudge()` it: everything is read again each time."""

    def __init__(self, resource: Resource[Observed], board: ConditionBoard) -> None:
        self._resource = resource
        self._board = board
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """Look now rather than at the next planned time."""
        self._nudged.set()

    async def once(self) -> float:
        """One turn; returns the seconds until the next look."""
        self._nudged.clear()
        observed = await self._resource.observe()
        plan = self._resource.plan(observed)
        for condition in plan.conditions:
            self._board.report(condition)
        for action in plan.actions:
            log.info("reconcile.acting", extra={"resource": self._resource.name, "action": action.summary})
            await self._resource.apply(action)
        self._board.report(self._condition(Status.TRUE, "InStep", f"{self._resource.name} was looked at and acted on"))
        return plan.again.after_s

    async def run(self) -> None:
        """Until cancelled. Transient trouble backs off; Terminal stops this resource alone and shows on health."""
        await run_duty(self._resource.name, self._forever, on_failure=self._failed)

    async def _forever(self) -> None:
        while True:
            wait_s = await self.once()
            try:
                async with asyncio.timeout(wait_s):
                    await self._nudged.wait()
            except TimeoutError:
                pass

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, Terminal):
            self._board.report(self._condition(Status.FALSE, "Stopped", f"stopped until restarted: {error}"))
        else:
            self._board.report(self._condition(Status.UNKNOWN, "Retrying", f"{type(error).__name__}: {error}"))

    def _condition(self, status: Status, reason: str, message: str) -> Condition:
        return Condition("Reconciled", status, reason, message, subject=self._resource.name, gates_ready=False)
