"""Which run of a program a process is: something that no later one is, also with the same process id."""

from pathlib import Path

__all__ = ["boot_id", "incarnation"]

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_STARTED = 19  # field 22 of proc(5)'s stat, after the name in brackets, which may hold anything: ticks since the boot


def boot_id() -> str:
    """The kernel's own name for its run; every boot has another one."""
    return _BOOT.read_text().strip()


def incarnation(pid: int) -> str | None:
    """Boot, process id and start time. None where there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return f"{boot_id()}/{pid}/{fields[_STARTED]}"
    except (FileNotFoundError, ProcessLookupError):
        return None
