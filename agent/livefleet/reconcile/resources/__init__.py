"""The things that are kept as declared, one file each."""

from livefleet.reconcile.resources.drain import Drainable, DrainResource, DrainTarget, Remaining, intake_with
from livefleet.reconcile.resources.gpus import GpuResource
from livefleet.reconcile.resources.hand_over import HandOverResource
from livefleet.reconcile.resources.redemption import RedemptionResource
from livefleet.reconcile.resources.reward import RewardResource

__all__ = [
    "DrainResource",
    "DrainTarget",
    "Drainable",
    "GpuResource",
    "HandOverResource",
    "RedemptionResource",
    "Remaining",
    "RewardResource",
    "intake_with",
]
