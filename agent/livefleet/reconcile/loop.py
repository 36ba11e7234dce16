"""Keeps one resource as declared: observe, plan, act, wait, until cancelled."""

import asyncio
import logging
from typing import Generic, TypeVar

from livefleet.kernel import Condition, ConditionBoard, Status, Terminal, run_duty
from livefleet.reconcile.model import Plan, Resource

__all__ = ["ReconcileLoop"]

log = logging.getLogger(__name__)

Observed = TypeVar("Observed")

_RECONCILED = "Reconciled"


class ReconcileLoop(Generic[Observed]):
    """The endless loop of one resource. Events only `nudge()` it: everything is read again each time."""

    def __init__(self, resource: Resource[Observed], board: ConditionBoard) -> None:
        self._resource = resource
        self._board = board
        self._nudged = asyncio.Event()
        self._told: set[tuple[str, str]] = set()  # conditions of the last plan, by name and subject
        self._acted: set[str] = set()  # actions of the last plan

    def nudge(self) -> None:
        """Look now rather than at the next planned time."""
        self._nudged.set()

    async def once(self) -> float:
        """One turn; returns the seconds until the next look."""
        self._nudged.clear()
        observed = await self._resource.observe()
        plan = self._resource.plan(observed)
        self._tell(plan)
        for action in plan.actions:
            # A step that is taken again each turn, such as looking at tickets that wait, is news only once.
            level = logging.DEBUG if action.summary in self._acted else logging.INFO
            log.log(level, "reconcile.acting", extra={"resource": self._resource.name, "action": action.summary})
            await self._resource.apply(action)
        self._acted = {action.summary for action in plan.actions}
        self._board.report(self._condition(Status.TRUE, "InStep", f"{self._resource.name} was looked at and acted on"))
        return plan.again.after_s

    async def run(self) -> None:
        """Until cancelled. Transient trouble backs off; Terminal stops this resource alone and shows on health.

        Cancelled, it takes back all that it reported: nobody looks any more.
        """
        try:
            await run_duty(self._resource.name, self._forever, on_failure=self._failed)
        except asyncio.CancelledError:
            self._take_back()
            self._board.withdraw(_RECONCILED, self._resource.name)
            raise

    async def _forever(self) -> None:
        while True:
            wait_s = await self.once()
            try:
                async with asyncio.timeout(wait_s):
                    await self._nudged.wait()
            except TimeoutError:
                pass

    def _tell(self, plan: Plan) -> None:
        """A plan's conditions are all that this resource has to say: what an earlier one said besides is withdrawn."""
        told = {(condition.name, condition.subject) for condition in plan.conditions}
        for name, subject in self._told - told:
            self._board.withdraw(name, subject)
        self._told = told
        for condition in plan.conditions:
            self._board.report(condition)

    def _take_back(self) -> None:
        for name, subject in self._told:
            self._board.withdraw(name, subject)
        self._told = set()

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, Terminal):
            self._take_back()
            self._board.report(self._condition(Status.FALSE, "Stopped", f"stopped until restarted: {error}"))
        else:
            self._board.report(self._condition(Status.UNKNOWN, "Retrying", f"{type(error).__name__}: {error}"))

    def _condition(self, status: Status, reason: str, message: str) -> Condition:
        return Condition(_RECONCILED, status, reason, message, subject=self._resource.name, gates_ready=False)
