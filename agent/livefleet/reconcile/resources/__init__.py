"""The things that are kept as declared, one file each."""

from livefleet.reconcile.resources.gpus import GpuResource

__all__ = ["GpuResource"]
