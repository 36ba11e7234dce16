"""Alerts about GPUs and their driver."""

from typing import Final

from livefleet.monitoring.alert import AlertRule, Look, Severity, Topic
from livefleet.monitoring.promql import condition_of
from livefleet.spec.alerts import AlertSettings

__all__ = ["hardware_rules"]

_BY_GPU: Final = "by (fleet, node, role, subject)"
_THERMAL: Final = "software_thermal|hardware_thermal|hardware_slowdown"
_FACETS: Final = (
    "GpuAnswering", "GpuMemorySound", "GpuLinkSound", "GpuEnginesSound", "GpuFirmwareSound", "GpuApplicationsSound",
    "GpuPowered", "GpuCardFits", "GpuSteady",
)  # fmt: skip

_SMI: Final = Look("livefleet exec HOST -- nvidia-smi -q", "what the driver says of each device")
_KERNEL: Final = Look("livefleet exec HOST -- journalctl -k -g NVRM -n 50", "the driver's lines in the kernel's log")


def hardware_rules(settings: AlertSettings) -> tuple[AlertRule, ...]:
    """For nodes with NVIDIA devices."""
    return (
        AlertRule(
            "DriverTrouble", Topic.HARDWARE, Severity.CRITICAL, condition_of("GpuDriver"), 60,
            summary="the NVIDIA driver of {{ $labels.node }} does not work",
            means="The driver is missing, does not fit its library, is too old or does not answer: no GPU can be used.",
            advice="Read the condition's message; after an upgrade of the driver reboot the host",
            look=(_SMI, _KERNEL, Look("livefleet apply HOST", "installs the declared driver")),
            clears="when NVML answers and the driver is as declared",
            conditions=("GpuDriver",),
        ),
        AlertRule(
            "GpuFault", Topic.HARDWARE, Severity.CRITICAL,
            f'min {_BY_GPU} (livefleet_condition_status{{condition=~"GpuPresent|GpuHealthy"}}) == 0', 30,
            summary="{{ $labels.subject }} of {{ $labels.node }} gets no work: it is faulty or missing",
            means="A declared GPU is not there, or a fault was reported for which it was set aside. What was on it has "
            "moved or ended; the others go on.",
            advice="Read what the condition `GpuHealthy` or `GpuPresent` advises: a reset, a reboot, or another card",
            look=(
                Look("livefleet status HOST", "each GPU's state, what is wrong with it, and what to do"), _KERNEL, _SMI,
                Look("livefleet drain --host HOST", "empties the host before a reboot"),
            ),
            clears="when the device answers and is given work again",
            conditions=("GpuPresent", "GpuHealthy"),
            held_by=("DriverTrouble",),
        ),
        AlertRule(
            "GpuWorn", Topic.HARDWARE, Severity.WARNING,
            f'min {_BY_GPU} (livefleet_condition_status{{condition=~"{"|".join(_FACETS)}"}}) == 0', 600,
            summary="{{ $labels.subject }} of {{ $labels.node }} works, and somebody should look at it",
            means="Its memory, link, engines, firmware or power are not as they should be; it may get worse.",
            advice="Read what the condition advises; plan a reset or another card before it fails under work",
            look=(Look("livefleet status HOST", "what is wrong with it, and what to do"), _KERNEL, _SMI),
            clears="when nothing is wrong with it any more",
            conditions=_FACETS,
            held_by=("GpuFault", "DriverTrouble"),
            held_on=("node", "subject"),
        ),
        AlertRule(
            "GpuHot", Topic.HARDWARE, Severity.WARNING,
            f"max by (fleet, node, role, gpu) (livefleet_gpu_temperature_celsius) >= {settings.gpu_temperature_c:g} "
            "or on (node, gpu) max by (fleet, node, role, gpu) "
            f'(livefleet_gpu_throttled{{reason=~"{_THERMAL}"}}) == 1',
            120,
            summary="{{ $labels.gpu }} of {{ $labels.node }} is too hot",
            means=f"The device is at {settings.gpu_temperature_c:g} degrees or more, or its clocks are held down for "
            "its temperature; work on it takes longer and may be late.",
            advice="Clean fans and filters, look at the room's temperature, or lower the power limit",
            look=(
                Look("livefleet exec HOST -- nvidia-smi -q -d TEMPERATURE,PERFORMANCE", "limits and slow-downs"),
                Look("livefleet_gpu_throttled", "what holds the clocks down"),
            ),
            clears="when it is cooler and its clocks are free",
            conditions=("GpuCool",),
        ),
    )  # fmt: skip
