"""What this node tells that it can do: what is really there now."""

from collections.abc import Sequence

from livefleet.kernel import SessionId
from livefleet.media import Profile
from livefleet.wire.ai_hardware import ModelHardware
from livefleet.wire.capabilities import (
    DEFAULT_CAPABILITIES,
    WIRE_VERSION,
    Capabilities,
    Capability,
    ModelConstraint,
    capability_of_pipeline,
)
from livefleet.wire.server.ai_places import AiPlaces
from livefleet.wire.server.transcoders import Transcoders

__all__ = ["Offer"]


class Offer:
    """The advertised capabilities. `mandatories` stays empty: the SDK sends no bits and would be refused."""

    def __init__(self, transcoders: Transcoders, ai: AiPlaces) -> None:
        self._transcoders = transcoders
        self._ai = ai
        self._own: Capabilities | None = None  # the last, without transcoding

    def capabilities(self) -> Capabilities:
        """As of now: ready devices, joined workers, models with capacity."""
        models = self._models()
        if self._own is None or self._own.models != models:  # told with every answer, and seldom another than before
            ids: set[int] = {Capability.AUTH_TOKEN}
            if models:
                ids |= DEFAULT_CAPABILITIES  # gateways ask for all of it beside the AI capability
            self._own = Capabilities.of(ids, version=WIRE_VERSION, models=models)
        return self._transcoders.offered(self._own)

    def has_room(self, profiles: Sequence[Profile] = ()) -> bool:
        """Whether another transcoding session would be taken."""
        return self._transcoders.has_room(profiles)

    def hardware(self) -> tuple[ModelHardware, ...]:
        """What the models run on."""
        return self._ai.hardware()

    def awaits(self, session: SessionId) -> bool:
        """Whether an open session is between two workers."""
        return self._transcoders.awaits(session)

    def _models(self) -> dict[int, dict[str, ModelConstraint]]:
        models: dict[int, dict[str, ModelConstraint]] = {}
        for model in self._ai.advertised():
            capability = capability_of_pipeline(model.pipeline)
            if capability is None or model.capacity <= 0:
                continue
            models.setdefault(capability, {})[model.model_id] = ModelConstraint(
                warm=model.warm,
                capacity=model.capacity - model.capacity_in_use,  # as the reference: both together are all places
                runner_version=model.runner_version,
                capacity_in_use=model.capacity_in_use,
            )
        return models
