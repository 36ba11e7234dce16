"""Conditions, metrics and the admin endpoints."""

from livefleet.health.alert_relay import ALERTS_DELIVERED, AlertRelay
from livefleet.health.gpu_metrics import GpuCollector
from livefleet.health.host import HostCollector
from livefleet.health.http import AdminServer
from livefleet.health.metrics import Collected, NodeCollector, Reading, ReadingCollector, exposition
from livefleet.health.status import NodeStatus

__all__ = [
    "ALERTS_DELIVERED",
    "AdminServer",
    "AlertRelay",
    "Collected",
    "GpuCollector",
    "HostCollector",
    "NodeCollector",
    "NodeStatus",
    "Reading",
    "ReadingCollector",
    "exposition",
]
