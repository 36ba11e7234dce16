"""Which of the declared models a node loads, and the pool that keeps them loaded."""

import asyncio
import os
import random
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from livefleet.ai import (
    MODEL_PLACED,
    MODEL_WARM,
    AiPool,
    Catalogue,
    WatchLimits,
    Weights,
    place,
    placement_conditions,
    size_of,
)
from livefleet.hardware import HardwareSnapshot
from livefleet.kernel import ConditionBoard
from livefleet.kernel.incarnation import incarnation
from livefleet.payments import ModelAccounts
from livefleet.reconcile import ReconcileLoop
from livefleet.reconcile.resources import ModelOrdersResource
from livefleet.roles.base import RoleContext, read_secret
from livefleet.spec import AiDuty, GpuSelection, NodeSpec
from livefleet.wire.ai_hardware import ModelHardware, hardware_of

__all__ = ["LocalModels", "forget_models", "open_models", "placed_models", "warm_models", "weights_of"]


class LocalModels:
    """The pool beside what its models run on, while entered; it goes by what operators ask of single models."""

    def __init__(self, context: RoleContext, pool: AiPool) -> None:
        self._sampler = context.sampler
        self._gpus = context.spec.gpus
        self._aside = context.aside
        self.pool = pool
        orders = ModelOrdersResource(context.spec.paths.state, pool, incarnation(os.getpid()))
        self._orders = ReconcileLoop(orders, context.board)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._orders.once()  # what was unloaded is not loaded first
            self._avoid_sick()
            stack.callback(self._aside.on_change(self._avoid_sick))
            await stack.enter_async_context(self.pool)
            group = await stack.enter_async_context(asyncio.TaskGroup())
            stack.callback(group.create_task(self._orders.run(), name="model-orders").cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(None, None, None)  # an error of the block is its own

    def hardware(self) -> tuple[ModelHardware, ...]:
        """The models' GPUs as they were seen last."""
        return hardware_of(self.pool.placements, self._sampler.latest)

    @property
    def idle_gpus(self) -> int:
        """Usable GPUs that no model was placed on."""
        return len(self._well() - {placement.device for placement in self.pool.placements})

    def _avoid_sick(self) -> None:
        """Models leave GPUs that get no work, for others that have room."""
        self.pool.avoid({uuid: device.why for uuid, device in self._aside.devices.items()}, self._well())

    def _well(self) -> set[str]:
        snapshot = self._sampler.latest
        return set() if snapshot is None else set(_usable(snapshot, self._gpus)) - self._aside.devices.keys()


def warm_models(spec: NodeSpec) -> tuple[str, ...]:
    """`ModelWarm` where the node is not ready without it."""
    return (MODEL_WARM,) if spec.duties.ai and any(model.warm and model.is_local for model in spec.models) else ()


async def open_models(context: RoleContext, duty: AiDuty, accounts: ModelAccounts | None = None) -> LocalModels:
    """Place the models and report how that went; the caller enters them, and `accounts` before."""
    spec = context.spec
    snapshot = context.sampler.latest or await context.sampler.sample()
    catalogue = placed_models(spec, snapshot)
    for condition in placement_conditions(catalogue):
        context.board.report(condition)
    pool = AiPool(
        catalogue.placed,
        source_of=weights_of(spec, duty).source_of,
        tokens={model.token: read_secret(spec, model.token) for model in spec.models if model.token is not None},
        run_dir=spec.paths.run / "ai",
        state_folder=spec.paths.state,
        board=context.board,
        rng=random.SystemRandom(),
        request_timeout_s=duty.request_timeout_s,
        cold_patience_s=duty.cold_patience_s,
        ledger=context.ledger,
        limits=WatchLimits(load_timeout_s=duty.load_timeout_s),
        meter=accounts,
        proof_every_s=duty.proof_interval_s,
    )
    return LocalModels(context, pool)


def weights_of(spec: NodeSpec, duty: AiDuty) -> Weights:
    """The models' files on this host. Raises BadInput for a token that cannot be read."""
    token = None if duty.weights.token is None else read_secret(spec, duty.weights.token)
    return Weights(duty.weights, state_folder=spec.paths.state, token=token)


def placed_models(spec: NodeSpec, snapshot: HardwareSnapshot) -> Catalogue:
    """Which device each model of this host is for, by the GPUs that there are."""
    headroom = 0 if spec.duties.transcoding is None else spec.duties.transcoding.vram_headroom
    return place(
        (model for model in spec.models if model.is_local),
        _usable(snapshot, spec.gpus),
        room={g.uuid: (g.memory_total or 0) - (g.memory_used or 0) - headroom for g in snapshot.gpus},
        size_of=lambda model: size_of(model, spec.paths.state),
    )


def _usable(snapshot: HardwareSnapshot, wanted: GpuSelection) -> list[str]:
    return [
        g.uuid
        for g in snapshot.gpus
        if g.uuid and g.fault is None and wanted != "none" and (wanted == "all" or g.uuid in wanted)
    ]


def forget_models(board: ConditionBoard) -> None:
    """Nothing is served any more; what was said of models does not hold either."""
    for condition in board.all():
        if condition.name in {MODEL_PLACED, MODEL_WARM}:
            board.withdraw(condition.name, condition.subject)
