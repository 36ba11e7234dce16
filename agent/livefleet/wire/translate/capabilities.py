"""Capabilities: bits, capacities, models."""

from livefleet.wire.capabilities import Capabilities, ModelConstraint, from_words
from livefleet.wire.proto import lp_rpc_pb2 as pb

__all__ = ["capabilities_from_proto", "capabilities_to_proto"]

_COUNTED_WORDS = 16  # of a bit string, so 1,024 ids; 38 are known


def capabilities_from_proto(message: pb.Capabilities) -> Capabilities:
    """As received; an empty capacities map means 1 for every set bit.

    Ids that no node will ever have get no capacity: a message of megabytes would else cost gigabytes.
    """
    capacities = {c: n for c, n in message.capacities.items() if c < 64 * _COUNTED_WORDS}
    if not message.capacities:
        capacities = dict.fromkeys(sorted(from_words(message.bitstring[:_COUNTED_WORDS])), 1)
    return Capabilities(
        words=tuple(message.bitstring),
        mandatories=tuple(message.mandatories),
        capacities=capacities,
        version=message.version,
        min_version=message.constraints.minVersion,
        models={
            capability: {
                model_id: ModelConstraint(model.warm, model.capacity, model.runnerVersion, model.capacityInUse)
                for model_id, model in constraints.models.items()
            }
            for capability, constraints in message.constraints.PerCapability.items()
        },
    )


def capabilities_to_proto(capabilities: Capabilities) -> pb.Capabilities:
    """For an answer, credentials or a registration."""
    return pb.Capabilities(
        bitstring=capabilities.words,
        mandatories=capabilities.mandatories,
        capacities=dict(capabilities.capacities),
        version=capabilities.version,
        constraints=pb.Capabilities.Constraints(
            minVersion=capabilities.min_version,
            PerCapability={
                capability: pb.Capabilities.CapabilityConstraints(
                    models={
                        model_id: pb.Capabilities.CapabilityConstraints.ModelConstraint(
                            warm=model.warm,
                            capacity=model.capacity,
                            runnerVersion=model.runner_version,
                            capacityInUse=model.capacity_in_use,
                        )
                        for model_id, model in models.items()
                    }
                )
                for capability, models in capabilities.models.items()
            },
        ),
    )
