"""The GPUs' numbers as NVML and the driver's reports have them, read at scrape."""

from collections.abc import Callable, Iterator
from typing import Final, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from livefleet.hardware import GpuSample, HardwareSnapshot, XidLog

__all__ = ["GpuCollector"]

_THROTTLES: Final = {
    "power_cap": 0x4,
    "hardware_slowdown": 0x8,
    "software_thermal": 0x20,
    "hardware_thermal": 0x40,
    "power_brake": 0x80,
}
"""Clock event reasons of NVML that bear on health, by their bit."""

_Value = tuple[dict[str, str], float | None]


class Hardware(Protocol):
    """The sampler, as far as it is shown."""

    latest: HardwareSnapshot | None
    xids: XidLog

    @property
    def reads_kernel_log(self) -> bool:
        """Whether reports of before the start are known."""
        ...


class GpuCollector(Collector):
    """What NVML said last, and what the driver reported. What a device does not tell is left out."""

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware

    def describe(self) -> Iterator[Metric]:
        """Nothing is known before the first scrape."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """A device without a UUID is told by its index alone, and only that it is there."""
        snapshot = self._hardware.latest
        present = GaugeMetricFamily("livefleet_gpus_present", "Devices that NVML lists.")
        present.add_metric([], 0 if snapshot is None else len(snapshot.gpus))
        yield present
        if snapshot is None:
            return
        if snapshot.driver_version is not None:
            yield _family("driver_info", "NVIDIA driver.", [({"version": snapshot.driver_version}, 1)])
        if snapshot.driver_version is not None or snapshot.gpus:
            yield _family("sampled_seconds", "Unix time of the last sample.", [({}, snapshot.taken_at)])
            reads = float(self._hardware.reads_kernel_log)
            yield _family("kernel_log_readable", "1 while reports of the kernel log are seen.", [({}, reads)])
        yield _family("info", "1 healthy, 0 faulty.", [_info(gpu) for gpu in snapshot.gpus], _INFO_LABELS)
        named = [gpu for gpu in snapshot.gpus if gpu.uuid]
        for name, (text, read) in _FAMILIES.items():
            values = [({"gpu": gpu.uuid} | labels, value) for gpu in named for labels, value in read(gpu)]
            if told := [(labels, float(value)) for labels, value in values if value is not None]:
                yield _family(name, text, told)
        energy = CounterMetricFamily(
            "livefleet_gpu_energy_joules", "Drawn since the driver was loaded.", labels=["gpu"]
        )
        for gpu in named:
            if gpu.energy_mj is not None:
                energy.add_metric([gpu.uuid], gpu.energy_mj / 1000)
        if energy.samples:
            yield energy
        yield from self._reports()

    def _reports(self) -> Iterator[Metric]:
        counts = CounterMetricFamily(
            "livefleet_gpu_xids", "Reports of the driver; code 0 is all beyond 64.", labels=["gpu", "code"]
        )
        last = []
        for name, history in self._hardware.xids.all().items():
            for code, count in history.counts.items():
                counts.add_metric([name, str(code)], count)
            if history.last is not None:
                last.append(({"gpu": name, "code": str(history.last.code)}, history.last.at))
        if counts.samples:
            yield counts
        if last:
            yield _family("last_xid_seconds", "Unix time of the last report that no reset has settled.", last)


_INFO_LABELS = ("gpu", "name", "bus", "fault")


def _info(gpu: GpuSample) -> tuple[dict[str, str], float]:
    fault = "" if gpu.fault is None else gpu.fault.kind.value
    labels = (gpu.uuid or f"index-{gpu.index}", gpu.name, gpu.pci_bus_id, fault)
    return dict(zip(_INFO_LABELS, labels, strict=True)), float(not fault)


def _family(
    name: str, text: str, values: list[tuple[dict[str, str], float]], labels: tuple[str, ...] = ()
) -> GaugeMetricFamily:
    names = labels or tuple(values[0][0])
    family = GaugeMetricFamily(f"livefleet_gpu_{name}", text, labels=names)
    for each, value in values:
        family.add_metric([each[name] for name in names], value)
    return family


def _plain(field: str) -> Callable[[GpuSample], list[_Value]]:
    return lambda gpu: [({}, getattr(gpu, field))]


def _by(label: str, fields: dict[str, str], part: str = "") -> Callable[[GpuSample], list[_Value]]:
    """One series for each of `fields`, of the sample or of one of its parts."""

    def read(gpu: GpuSample) -> list[_Value]:
        holder = getattr(gpu, part) if part else gpu
        return [] if holder is None else [({label: value}, getattr(holder, field)) for value, field in fields.items()]

    return read


def _part(part: str, field: str) -> Callable[[GpuSample], list[_Value]]:
    return lambda gpu: [] if getattr(gpu, part) is None else [({}, getattr(getattr(gpu, part), field))]


def _throttles(gpu: GpuSample) -> list[_Value]:
    if gpu.throttle is None:
        return []
    return [({"reason": reason}, float(bool(gpu.throttle & bit))) for reason, bit in _THROTTLES.items()]


def _ecc(gpu: GpuSample) -> list[_Value]:
    if gpu.ecc is None:
        return []
    return [
        ({"kind": "corrected", "span": "driver"}, gpu.ecc.volatile_corrected),
        ({"kind": "uncorrected", "span": "driver"}, gpu.ecc.volatile_uncorrected),
        ({"kind": "corrected", "span": "life"}, gpu.ecc.aggregate_corrected),
        ({"kind": "uncorrected", "span": "life"}, gpu.ecc.aggregate_uncorrected),
    ]


_FAMILIES: Final[dict[str, tuple[str, Callable[[GpuSample], list[_Value]]]]] = {
    "memory_total_bytes": ("VRAM.", _plain("memory_total")),
    "memory_used_bytes": ("VRAM in use.", _plain("memory_used")),
    "utilization_percent": ("Kernels running.", _plain("utilization")),
    "memory_utilization_percent": ("Memory read or written.", _plain("memory_utilization")),
    "encoder_utilization_percent": ("NVENC busy.", _plain("encoder_utilization")),
    "decoder_utilization_percent": ("NVDEC busy.", _plain("decoder_utilization")),
    "encoder_sessions": ("NVENC sessions of all processes.", _plain("encoder_sessions")),
    "temperature_celsius": ("Core.", _plain("temperature_c")),
    "temperature_limit_celsius": (
        "Where the hardware slows or stops.",
        _by("limit", {"slowdown": "slowdown_c", "shutdown": "shutdown_c"}),
    ),
    "fan_percent": ("Fan's speed.", _plain("fan_percent")),
    "power_milliwatts": ("Drawn now.", _plain("power_mw")),
    "power_limit_milliwatts": ("Enforced limit.", _plain("power_limit_mw")),
    "clock_megahertz": ("Clock now.", _by("clock", {"sm": "clock_sm_mhz", "memory": "clock_memory_mhz"})),
    "throttled": ("1 while clocks are held down for the reason.", _throttles),
    "ecc_errors": ("Memory errors since the driver was loaded, or in the device's life.", _ecc),
    "remapped_rows": (
        "Rows of memory replaced.",
        _by("kind", {"correctable": "correctable", "uncorrectable": "uncorrectable"}, "remapped"),
    ),
    "remap_pending": ("1: the next reset remaps rows.", _part("remapped", "pending")),
    "remap_failed": ("1: no spare row is left.", _part("remapped", "failed")),
    "retired_pages": ("Pages of memory given up.", _plain("retired_pages")),
    "retirement_pending": ("1: the next reset retires pages.", _plain("retirement_pending")),
    "pcie_generation": ("Of the link now.", _part("pcie", "generation")),
    "pcie_generation_max": ("That device and slot allow.", _part("pcie", "max_generation")),
    "pcie_width": ("Lanes now.", _part("pcie", "width")),
    "pcie_width_max": ("Lanes that device and slot allow.", _part("pcie", "max_width")),
    "pcie_replays": ("Packets sent again since the driver was loaded.", _part("pcie", "replays")),
    "persistence": ("1: the driver keeps the device open.", _plain("persistence")),
    "mig": ("1: cut into instances.", _part("mig", "current")),
    "recovery_action": ("The driver's advice, NVML's number; 0 none.", _plain("recovery_action")),
}
"""By name: help, and how a sample is read."""
