"""The AI half of the role worker: this host's models, joined to an orchestrator."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from livefleet.health import Reading
from livefleet.kernel import Condition, Status, run_duty
from livefleet.payments import ModelAccounts
from livefleet.roles.base import RoleContext
from livefleet.roles.model_accounts import model_account_readings, model_accounts_part, open_model_accounts
from livefleet.roles.model_metrics import model_runners_part, own_model_readings
from livefleet.roles.models import LocalModels, forget_models, open_models
from livefleet.roles.own_metrics import own_ai_worker_readings
from livefleet.roles.reference_metrics import ai_readings, model_readings
from livefleet.spec import AiDuty, WorkerSettings
from livefleet.wire.worker import JOINED_ORCHESTRATOR, AiWorker

__all__ = ["AiWork"]


class AiWork:
    """Models kept loaded, and the stream over which their jobs come."""

    def __init__(self, context: RoleContext, settings: WorkerSettings, duty: AiDuty) -> None:
        self._context = context
        self._settings = settings
        self._duty = duty
        self._models: LocalModels | None = None
        self._accounts: ModelAccounts | None = None
        self._worker: AiWorker | None = None
        self._is_drained = False
        self._secret = ""

    async def run(self, secret: str) -> None:
        """Stay joined until cancelled; then what is under way is finished."""
        self._secret = secret
        await run_duty("ai-worker", self._serve, on_failure=self._failed)

    def show(self, secret: str) -> None:
        """Show the orchestrator this secret from now on, also after a retry."""
        self._secret = secret
        if self._worker is not None:
            self._worker.show(secret)

    @property
    def jobs(self) -> int:
        """How many are under way."""
        return 0 if self._worker is None else self._worker.jobs

    def drain(self, *, on: bool) -> None:
        """Leave the orchestrator and stay away, or come back; also after a retry."""
        self._is_drained = on
        if self._worker is not None:
            self._worker.drain(on=on)

    def parts(self) -> Mapping[str, Any]:
        """As it is now, for /status."""
        parts: dict[str, Any] = {}
        if self._worker is not None:
            parts["ai_worker"] = asdict(self._worker.snapshot())
        if self._models is not None:
            parts["models"] = [asdict(model) for model in self._models.pool.advertised()]
            parts["model_runners"] = model_runners_part(self._models.pool.snapshot())
        if self._accounts is not None:
            parts["model_accounts"] = model_accounts_part(self._accounts)
        return parts

    def readings(self) -> list[Reading]:
        """The same for /metrics."""
        if self._worker is None or self._models is None:
            return []
        return [
            *ai_readings(self._worker.stats),
            *model_readings(self._models.pool.advertised(), self._models.idle_gpus),
            *own_model_readings(self._models.pool.snapshot()),
            *own_ai_worker_readings(self._worker.snapshot()),
            *(() if self._accounts is None else model_account_readings(self._accounts.snapshot())),
        ]

    async def _serve(self) -> None:
        try:
            accounts = open_model_accounts(self._context)
            self._models = await open_models(self._context, self._duty, accounts)
            async with (
                accounts as self._accounts,
                self._models,
                AiWorker(
                    orchestrator=self._settings.orchestrator,
                    secret=self._secret,
                    ai=self._models.pool,
                    hardware=self._models.hardware,
                    board=self._context.board,
                    rng=random.SystemRandom(),
                    drain_s=self._context.spec.service.stop_timeout_s / 2,
                ) as self._worker,
            ):
                self.drain(on=self._is_drained)
                await asyncio.Event().wait()
        finally:
            self._worker = self._models = self._accounts = None
            forget_models(self._context.board)

    def _failed(self, error: BaseException) -> None:
        text = f"{type(error).__name__}: {error}"
        self._context.board.report(Condition(JOINED_ORCHESTRATOR, Status.FALSE, "Failed", text, subject="ai"))
