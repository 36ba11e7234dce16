"""GPUs: state, heat, memory, link, and what the driver reported."""

from livefleet.monitoring.dashboards.board import Board, Row, Unit, Variable, panel, states, table

__all__ = ["gpu_board"]

_NAME = "{{node}} {{gpu}}"


def gpu_board() -> Board:
    """What NVML and the driver's log say of each device."""
    return Board(
        "livefleet-gpu",
        "livefleet: GPU",
        "Each GPU: what state it is in and why, use, heat, power, memory errors, link, the driver's reports.",
        (Variable.FLEET, Variable.NODE, Variable.GPU),
        (_state(), _use(), _heat(), _memory(), _link(), _reports()),
    )


def _state() -> Row:
    return Row(
        "State",
        (
            table(
                "State",
                "livefleet_gpu_state{HERE,GPU} == 1",
                "healthy and watch work; all others get no work until what they name was done.",
                "GpuFault",
            ),
            table(
                "What was seen",
                "livefleet_gpu_sign{HERE,GPU} == 1",
                "Signs that stand now; REFERENCE.md has a row for each.",
                "GpuFault",
                "GpuWorn",
            ),
            table(
                "Devices",
                "livefleet_gpu_info{HERE,GPU}",
                "1 healthy, 0 faulty, with NVML's own word for it.",
            ),
            states(
                "Works",
                'max by (node, gpu) (livefleet_gpu_state{HERE,GPU,state=~"healthy|watch"})',
                _NAME,
                "Green while it gets work.",
                "GpuFault",
            ),
            panel(
                "Set aside",
                "increase(livefleet_gpu_set_aside_total{HERE,GPU}[$__rate_interval])",
                Unit.NUMBER,
                _NAME,
                "Times that it was given no more work.",
            ),
            table(
                "Driver",
                "min by (node, version) (livefleet_gpu_driver_info{HERE})",
                "NVIDIA driver by node.",
                "DriverTrouble",
            ),
            panel(
                "Age of the last sample",
                "time() - livefleet_gpu_sampled_seconds{HERE}",
                Unit.SECONDS,
                "{{node}}",
                "Grows where NVML hangs.",
            ),
        ),
    )


def _use() -> Row:
    return Row(
        "Use",
        (
            panel(
                "Kernels",
                "livefleet_gpu_utilization_percent{HERE,GPU}",
                Unit.PERCENT,
                _NAME,
                "Share of time in which kernels ran.",
            ),
            panel(
                "Encoder and decoder",
                {
                    "encoder": "livefleet_gpu_encoder_utilization_percent{HERE,GPU}",
                    "decoder": "livefleet_gpu_decoder_utilization_percent{HERE,GPU}",
                },
                Unit.PERCENT,
                _NAME,
                "NVENC and NVDEC.",
            ),
            panel(
                "Encoder sessions",
                "livefleet_gpu_encoder_sessions{HERE,GPU}",
                Unit.NUMBER,
                _NAME,
                "NVENC sessions of all processes.",
            ),
            panel(
                "Memory",
                {
                    "used": "livefleet_gpu_memory_used_bytes{HERE,GPU}",
                    "total": "livefleet_gpu_memory_total_bytes{HERE,GPU}",
                },
                Unit.BYTES,
                _NAME,
                "VRAM.",
            ),
            panel(
                "Memory busy",
                "livefleet_gpu_memory_utilization_percent{HERE,GPU}",
                Unit.PERCENT,
                _NAME,
                "Share of time in which memory was read or written.",
            ),
            panel(
                "Clocks",
                "livefleet_gpu_clock_megahertz{HERE,GPU} * 1e6",
                Unit.HERTZ,
                f"{_NAME} {{{{clock}}}}",
                "Of the processors and of memory.",
            ),
        ),
    )


def _heat() -> Row:
    return Row(
        "Heat and power",
        (
            panel(
                "Temperature",
                {
                    "now": "livefleet_gpu_temperature_celsius{HERE,GPU}",
                    "slows down at": 'livefleet_gpu_temperature_limit_celsius{HERE,GPU,limit="slowdown"}',
                },
                Unit.CELSIUS,
                _NAME,
                "Of the core, and from where the hardware slows its clocks.",
                "GpuHot",
            ),
            panel("Fan", "livefleet_gpu_fan_percent{HERE,GPU}", Unit.PERCENT, _NAME, "None on passive cards."),
            panel(
                "Power",
                {
                    "now": "livefleet_gpu_power_milliwatts{HERE,GPU} / 1000",
                    "limit": "livefleet_gpu_power_limit_milliwatts{HERE,GPU} / 1000",
                },
                Unit.WATTS,
                _NAME,
                "Drawn, and the limit in force.",
            ),
            panel(
                "Energy in a day",
                "increase(livefleet_gpu_energy_joules_total{HERE,GPU}[1d])",
                Unit.JOULES,
                _NAME,
                "Of the last 24 hours; Volta and newer.",
            ),
            panel(
                "Clocks held down",
                "livefleet_gpu_throttled{HERE,GPU} == 1",
                Unit.NUMBER,
                f"{_NAME} {{{{reason}}}}",
                "1 while they are, by reason; power_cap is what a busy GPU shows.",
                "GpuHot",
            ),
        ),
    )


def _memory() -> Row:
    return Row(
        "Memory errors",
        (
            panel(
                "ECC errors",
                "livefleet_gpu_ecc_errors{HERE,GPU}",
                Unit.NUMBER,
                f"{_NAME} {{{{kind}}}} {{{{span}}}}",
                "Since the driver was loaded, and in the device's life; only with ECC.",
            ),
            panel(
                "Rows remapped",
                "livefleet_gpu_remapped_rows{HERE,GPU}",
                Unit.NUMBER,
                f"{_NAME} {{{{kind}}}}",
                "Rows of memory replaced; Ampere and newer.",
                "GpuWorn",
            ),
            panel(
                "Pages retired",
                "livefleet_gpu_retired_pages{HERE,GPU}",
                Unit.NUMBER,
                _NAME,
                "Pages of memory given up; before Ampere.",
                "GpuWorn",
            ),
            panel(
                "Waiting for a reset, or worn out",
                {
                    "remap pending": "livefleet_gpu_remap_pending{HERE,GPU} == 1",
                    "remap failed": "livefleet_gpu_remap_failed{HERE,GPU} == 1",
                    "retirement pending": "livefleet_gpu_retirement_pending{HERE,GPU} == 1",
                },
                Unit.NUMBER,
                _NAME,
                "Pending: the next reset mends it. Failed: no spare row is left.",
                "GpuWorn",
            ),
        ),
    )


def _link() -> Row:
    return Row(
        "Link and settings",
        (
            panel(
                "PCIe lanes",
                {
                    "now": "livefleet_gpu_pcie_width{HERE,GPU}",
                    "possible": "livefleet_gpu_pcie_width_max{HERE,GPU}",
                },
                Unit.NUMBER,
                _NAME,
                "Fewer than possible under load: reseat the card.",
            ),
            panel(
                "PCIe generation",
                {
                    "now": "livefleet_gpu_pcie_generation{HERE,GPU}",
                    "possible": "livefleet_gpu_pcie_generation_max{HERE,GPU}",
                },
                Unit.NUMBER,
                _NAME,
                "An idle link is slower.",
            ),
            panel(
                "PCIe replays",
                "delta(livefleet_gpu_pcie_replays{HERE,GPU}[$__rate_interval])",
                Unit.NUMBER,
                _NAME,
                "Packets sent again.",
            ),
            table(
                "Persistence mode",
                "livefleet_gpu_persistence{HERE,GPU}",
                "1: the driver keeps the device open without a client.",
            ),
            table("MIG", "livefleet_gpu_mig{HERE,GPU}", "1: cut into instances."),
        ),
    )


def _reports() -> Row:
    return Row(
        "The driver's reports",
        (
            panel(
                "Reports (Xid)",
                "sum by (node, gpu, code) (increase(livefleet_gpu_xids_total{HERE,GPU}[$__rate_interval]))",
                Unit.NUMBER,
                f"{_NAME} Xid {{{{code}}}}",
                "REFERENCE.md says what each code means and what is done.",
                "GpuFault",
            ),
            table(
                "Last report",
                "livefleet_gpu_last_xid_seconds{HERE,GPU} * 1000",
                "The last one of each device since its last reset.",
                unit=Unit.DATE,
            ),
            table(
                "Driver's advice",
                "livefleet_gpu_recovery_action{HERE,GPU}",
                "0 none, 1 reset, 2 reboot, 3 drain peers, 4 drain and reset, 5 recover IMEX, 6 bus reset, "
                "7 system reboot.",
            ),
            states(
                "Kernel's log is read",
                "livefleet_gpu_kernel_log_readable{HERE}",
                "{{node}}",
                "Red: reports from before the agent's start are not known; put its user into `systemd-journal`.",
            ),
        ),
    )
