"""Prometheus collectors that read state at scrape; go-livepeer's names where it has one for the thing."""

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from livefleet.hardware import HardwareSnapshot
from livefleet.health.status import NodeStatus

__all__ = ["GpuCollector", "NodeCollector", "Reading", "ReadingCollector"]


class NodeCollector(Collector):
    """Identity, readiness and conditions."""

    def __init__(self, status: Callable[[], NodeStatus]) -> None:
        self._status = status

    def describe(self) -> Iterator[Metric]:
        """Nothing is known before the first scrape."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Read the status once."""
        status = self._status()
        info = GaugeMetricFamily(
            "livefleet_node_info", "Who this node is.", labels=["version", "role", "fleet", "node", "digest", "release"]
        )
        info.add_metric([status.version, status.role, status.fleet, status.name, status.digest[:12], status.release], 1)
        yield info
        yield GaugeMetricFamily("livefleet_node_ready", "1 when /readyz says 200.", value=float(status.ready))
        yield GaugeMetricFamily("livefleet_node_started_seconds", "Unix time of the start.", value=status.started_at)
        condition = GaugeMetricFamily(
            "livefleet_condition_status", "1 true, 0 false, -1 unknown.", labels=["condition", "subject", "reason"]
        )
        for c in status.conditions:
            condition.add_metric([c.name, c.subject, c.reason], {"true": 1, "false": 0}.get(c.status.value, -1))
        yield condition


class GpuCollector(Collector):
    """What NVML said last."""

    def __init__(self, latest: Callable[[], HardwareSnapshot | None]) -> None:
        self._latest = latest

    def describe(self) -> Iterator[Metric]:
        """Nothing is known before the first scrape."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """One series a device; what a device does not tell is left out."""
        snapshot = self._latest()
        present = GaugeMetricFamily("livefleet_gpu_present_count", "Devices that NVML lists.")
        present.add_metric([], 0 if snapshot is None else len(snapshot.gpus))
        yield present
        if snapshot is None:
            return
        if snapshot.driver_version is not None:
            driver = GaugeMetricFamily("livefleet_gpu_driver_info", "NVIDIA driver.", labels=["version"])
            driver.add_metric([snapshot.driver_version], 1)
            yield driver
        info = GaugeMetricFamily("livefleet_gpu_info", "1 healthy, 0 faulty.", labels=["gpu", "name", "bus", "fault"])
        families = {
            "memory_total": GaugeMetricFamily("livefleet_gpu_memory_total_bytes", "VRAM.", labels=["gpu"]),
            "memory_used": GaugeMetricFamily("livefleet_gpu_memory_used_bytes", "VRAM in use.", labels=["gpu"]),
            "utilization": GaugeMetricFamily("livefleet_gpu_utilization_percent", "Kernels running.", labels=["gpu"]),
            "encoder_utilization": GaugeMetricFamily(
                "livefleet_gpu_encoder_utilization_percent", "NVENC busy.", labels=["gpu"]
            ),
            "decoder_utilization": GaugeMetricFamily(
                "livefleet_gpu_decoder_utilization_percent", "NVDEC busy.", labels=["gpu"]
            ),
            "temperature_c": GaugeMetricFamily("livefleet_gpu_temperature_celsius", "Core.", labels=["gpu"]),
            "power_mw": GaugeMetricFamily("livefleet_gpu_power_milliwatts", "Drawn now.", labels=["gpu"]),
        }
        for gpu in snapshot.gpus:
            fault = "" if gpu.fault is None else gpu.fault.kind.value
            info.add_metric([gpu.uuid or f"index-{gpu.index}", gpu.name, gpu.pci_bus_id, fault], float(not fault))
            for field, family in families.items():
                value = getattr(gpu, field)
                if value is not None:
                    family.add_metric([gpu.uuid], value)
        yield info
        yield from families.values()


Reading = tuple[str, str, str, dict[str, str], float]
"""(name, kind `counter` or `gauge`, help, labels, value)."""


class ReadingCollector(Collector):
    """Turns plain readings of a service into metric families, read at scrape."""

    def __init__(self, read: Callable[[], list[Reading]]) -> None:
        self._read = read

    def describe(self) -> Iterator[Metric]:
        """Nothing is known before the first scrape."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Readings of the same name become one family."""
        families: dict[str, Metric] = {}
        for name, kind, text, labels, value in self._read():
            family = families.get(name)
            if family is None:
                cls = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
                family = families[name] = cls(name, text, labels=sorted(labels))
            family.add_metric([labels[key] for key in sorted(labels)], value)  # type: ignore[attr-defined]
        yield from families.values()
