"""The things that are kept as declared, one file each."""

from livefleet.reconcile.resources.gpus import GpuResource
from livefleet.reconcile.resources.redemption import RedemptionResource
from livefleet.reconcile.resources.reward import RewardResource

__all__ = ["GpuResource", "RedemptionResource", "RewardResource"]
