"""Conditions, metrics and the admin endpoints."""

from livefleet.health.http import AdminServer
from livefleet.health.metrics import Collected, GpuCollector, NodeCollector, Reading, ReadingCollector, exposition
from livefleet.health.status import NodeStatus

__all__ = [
    "AdminServer",
    "Collected",
    "GpuCollector",
    "NodeCollector",
    "NodeStatus",
    "Reading",
    "ReadingCollector",
    "exposition",
]
