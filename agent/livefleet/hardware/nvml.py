"""The thin typed layer over pynvml; nothing else imports it.

Every call blocks in the driver and may hang on a sick device: call from a thread. A call that a device or an old driver
does not know gives None rather than failing the sample.
"""

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

import pynvml

from livefleet.hardware.models import Fault, GpuProcess, GpuSample, HardwareSnapshot, NvmlFault

__all__ = ["read_snapshot"]

T = TypeVar("T")

_FAULTS = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: Fault.NO_LIBRARY,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: Fault.NO_DRIVER,
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: Fault.MISMATCH,
    pynvml.NVML_ERROR_GPU_IS_LOST: Fault.LOST,
    pynvml.NVML_ERROR_NO_PERMISSION: Fault.NO_PERMISSION,
}
_UNSUPPORTED = {pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND}


def read_snapshot(now: float) -> HardwareSnapshot:
    """Initialise NVML, read every device, shut down again; never raises for what NVML says.

    A fresh initialisation each time costs well under a millisecond with the persistence daemon and is what makes a
    reloaded driver or a lost device show.
    """
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return HardwareSnapshot(now, None, None, (), _fault(error))
    try:
        cuda = _optional(pynvml.nvmlSystemGetCudaDriverVersion)
        return HardwareSnapshot(
            taken_at=now,
            driver_version=_optional(pynvml.nvmlSystemGetDriverVersion),
            cuda_version=None if cuda is None else (cuda // 1000, cuda % 1000 // 10),
            gpus=tuple(_read_gpu(index) for index in range(pynvml.nvmlDeviceGetCount())),
        )
    except pynvml.NVMLError as error:
        return HardwareSnapshot(now, None, None, (), _fault(error))
    finally:
        with contextlib.suppress(pynvml.NVMLError):  # a driver that went away meanwhile is told by the next look
            pynvml.nvmlShutdown()


def _read_gpu(index: int) -> GpuSample:
    uuid = ""
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        uuid = pynvml.nvmlDeviceGetUUID(handle)
        memory = _optional(pynvml.nvmlDeviceGetMemoryInfo, handle)
        rates = _optional(pynvml.nvmlDeviceGetUtilizationRates, handle)
        encoder = _optional(pynvml.nvmlDeviceGetEncoderUtilization, handle)
        decoder = _optional(pynvml.nvmlDeviceGetDecoderUtilization, handle)
        pci = _optional(pynvml.nvmlDeviceGetPciInfo, handle)
        return GpuSample(
            index=index,
            uuid=uuid,
            name=pynvml.nvmlDeviceGetName(handle),
            pci_bus_id="" if pci is None else _text(pci.busId),
            compute_capability=_optional(pynvml.nvmlDeviceGetCudaComputeCapability, handle),
            memory_total=None if memory is None else int(memory.total),
            memory_used=None if memory is None else int(memory.used),
            utilization=None if rates is None else int(rates.gpu),
            memory_utilization=None if rates is None else int(rates.memory),
            encoder_utilization=None if encoder is None else int(encoder[0]),
            decoder_utilization=None if decoder is None else int(decoder[0]),
            temperature_c=_temperature(handle),
            power_mw=_optional(pynvml.nvmlDeviceGetPowerUsage, handle),
            processes=_processes(handle),
        )
    except pynvml.NVMLError as error:
        return GpuSample(index=index, uuid=uuid, fault=_fault(error))


def _temperature(handle: Any) -> int | None:
    value = _optional(pynvml.nvmlDeviceGetTemperatureV, handle, pynvml.NVML_TEMPERATURE_GPU)
    if value is None:  # drivers before r580 know the older call only
        value = _optional(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU)
    return value


def _processes(handle: Any) -> tuple[GpuProcess, ...] | None:
    """None also where this alone is forbidden or fails: a device without a list of processes is still a device."""
    try:
        found = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except pynvml.NVMLError:
        return None
    return tuple(GpuProcess(int(process.pid), process.usedGpuMemory) for process in found)


def _optional(call: Callable[..., T], *args: Any) -> T | None:
    try:
        return call(*args)
    except pynvml.NVMLError as error:
        if error.value in _UNSUPPORTED:
            return None
        raise


def _fault(error: pynvml.NVMLError) -> NvmlFault:
    return NvmlFault(_FAULTS.get(error.value, Fault.OTHER), str(error))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
