"""What was measured on this machine, and whether it still holds: `benchmark.json` in the node's state folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError

from livefleet.kernel import BadInput, Condition, Status
from livefleet.kernel.durable_file import write_durably
from livefleet.media.admission import Cost
from livefleet.media.device import Device, DeviceKind
from livefleet.media.models import Profile

__all__ = [
    "BENCHMARK_CURRENT",
    "Benchmark",
    "DeviceBenchmark",
    "benchmark_condition",
    "benchmark_file",
    "is_stale",
    "load_benchmark",
    "save_benchmark",
]

BENCHMARK_CURRENT = "BenchmarkCurrent"


@dataclass(frozen=True, slots=True)
class DeviceBenchmark:
    """The outcome on one device."""

    device: str  # its id
    kind: DeviceKind
    driver_version: str | None  # None for a CPU
    cores: float  # of the machine
    cores_of_others: float  # used meanwhile by other programs: what they took is missing from the limit
    profiles: tuple[Profile, ...]
    source: str  # what was transcoded, for people
    limit: int  # sessions that held in real time, the network's share included
    hardware_limit: int  # the same without regard to the network
    is_complete: bool  # False: time was up, more might hold
    duration_ratio: float  # 95th percentile at the limit
    cpu_s_per_pixel: float
    place_s_per_pixel: float
    in_bit_per_s: float  # of one session
    out_bit_per_s: float
    measured_at: str  # ISO 8601, UTC
    down_bit_per_s: float | None = None  # what the network was said to bring in; None: no limit
    up_bit_per_s: float | None = None

    __pydantic_config__ = ConfigDict(extra="forbid")

    @property
    def pixel_cost(self) -> Cost:
        """What one encoded pixel cost under full load."""
        return Cost(self.cpu_s_per_pixel, self.place_s_per_pixel)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """All devices that were measured."""

    devices: tuple[DeviceBenchmark, ...] = ()
    version: int = 1

    __pydantic_config__ = ConfigDict(extra="forbid")

    def of(self, device: str) -> DeviceBenchmark | None:
        """What is known of a device."""
        return next((measured for measured in self.devices if measured.device == device), None)

    def with_device(self, measured: DeviceBenchmark) -> "Benchmark":
        """The same with a device's outcome in place of an older one."""
        others = tuple(known for known in self.devices if known.device != measured.device)
        return Benchmark((*others, measured))


_JSON = TypeAdapter(Benchmark)


def benchmark_file(state: Path) -> Path:
    """Where a node with this state folder looks."""
    return state / "benchmark.json"


def load_benchmark(state: Path) -> Benchmark:
    """What was measured; empty when nothing was. Raises BadInput for a file that cannot be read."""
    path = benchmark_file(state)
    try:
        return _JSON.validate_json(path.read_bytes())
    except FileNotFoundError:
        return Benchmark()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        remedy = f"remove it and run `livefleet bench transcode --write {state}`"
        raise BadInput(f"{path}: {where}: {first['msg']}; {remedy}") from error


def save_benchmark(state: Path, benchmark: Benchmark) -> Path:
    """Write it in one piece; the file's path."""
    path = benchmark_file(state)
    state.mkdir(parents=True, exist_ok=True)
    write_durably(path, _JSON.dump_json(benchmark, indent=2) + b"\n", mode=None)
    return path


def is_stale(measured: DeviceBenchmark, driver_version: str | None, cores: float | None = None) -> bool:
    """Whether the machine is another than the one measured: another driver, or another number of cores."""
    other_driver = measured.kind is DeviceKind.NVIDIA and measured.driver_version != driver_version
    return other_driver or (cores is not None and cores != measured.cores)


def benchmark_condition(
    benchmark: Benchmark, devices: Sequence[Device], driver_version: str | None, cores: float
) -> Condition:
    """Whether every device's measurement is of this machine as it is. Never keeps a node from being ready."""
    missing = [device.id for device in devices if benchmark.of(device.id) is None]
    stale = [
        device.id
        for device in devices
        if (known := benchmark.of(device.id)) is not None and is_stale(known, driver_version, cores)
    ]
    none = [device.id for device in devices if (known := benchmark.of(device.id)) is not None and not known.limit]
    remedy = "run `livefleet bench transcode --write STATE_FOLDER` while the node is idle"
    status, reason, message = Status.TRUE, "Measured", "the limits were measured on this machine as it is"
    if stale:
        status, reason = Status.FALSE, "MachineChanged"
        message = f"driver or cores changed since {', '.join(stale)} was measured; {remedy}"
    elif missing:
        status, reason = Status.UNKNOWN, "NotMeasured"
        message = f"{', '.join(missing)} was not measured; {remedy}"
    elif none:
        status, reason = Status.FALSE, "HoldsNone"
        message = f"{', '.join(none)} held not one session in real time; see what else runs there, then {remedy}"
    return Condition(BENCHMARK_CURRENT, status, reason, message, gates_ready=False)
