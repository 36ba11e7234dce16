"""What this node tells that it can do: what is really there now."""

from collections.abc import Sequence

from livefleet.media import Profile
from livefleet.wire.capabilities import (
    DEFAULT_CAPABILITIES,
    WIRE_VERSION,
    Capabilities,
    Capability,
    ModelConstraint,
    capability_of_pipeline,
)
from livefleet.wire.server.parts import Ai
from livefleet.wire.server.transcoders import Transcoders

__all__ = ["Offer"]


class Offer:
    """The advertised capabilities. `mandatories` stays empty: the SDK sends no bits and would be refused."""

    def __init__(self, transcoders: Transcoders, ai: Ai | None) -> None:
        self._transcoders = transcoders
        self._ai = ai

    def capabilities(self) -> Capabilities:
        """As of now: ready devices, joined workers, models with capacity."""
        models = self._models()
        ids: set[int] = {Capability.AUTH_TOKEN}
        if models:
            ids |= DEFAULT_CAPABILITIES  # gateways ask for all of it beside the AI capability
        return self._transcoders.offered(Capabilities.of(ids, version=WIRE_VERSION, models=models))

    def has_room(self, profiles: Sequence[Profile] = ()) -> bool:
        """Whether another transcoding session would be taken."""
        return self._transcoders.has_room(profiles)

    def _models(self) -> dict[int, dict[str, ModelConstraint]]:
        models: dict[int, dict[str, ModelConstraint]] = {}
        for model in self._ai.advertised() if self._ai is not None else ():
            capability = capability_of_pipeline(model.pipeline)
            if capability is None or model.capacity <= 0:
                continue
            models.setdefault(capability, {})[model.model_id] = ModelConstraint(
                warm=model.warm,
                capacity=model.capacity,
                runner_version=model.runner_version,
                capacity_in_use=model.capacity_in_use,
            )
        return models
