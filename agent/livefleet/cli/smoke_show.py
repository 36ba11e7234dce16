"""Results of smoke jobs for people and for machines."""

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from livefleet.control import FleetSmoke, SmokeJob, SmokeResult

__all__ = ["print_smoke", "smoke_document", "smoke_line"]


def smoke_line(result: "SmokeResult") -> str:
    """One host in one line."""
    verdict = "passed" if result.passed else "FAILED"
    return f"{result.host}: {verdict} in {result.took_s:.1f} s: {result.text}"


def print_smoke(out: Console, found: "FleetSmoke") -> None:
    """Every job, as a table."""
    table = Table("host", "job", "verdict", "price wei/unit", "tickets", "spent wei", "seconds", box=None)
    for host in found.hosts:
        if not host.jobs:
            table.add_row(host.host, "-", "[red]failed[/]", "-", "-", "-", f"{host.took_s:.1f}")
        for job in host.jobs:
            table.add_row(
                host.host,
                Text(job.what),
                "[green]passed[/]" if job.failed_at is None else f"[red]failed at {job.failed_at.value}[/]",
                "-" if job.price is None else f"{float(job.price):.6g}",
                str(job.tickets),
                f"{float(job.spent):.0f}",
                f"{job.took_s:.1f}",
            )
    out.print(table)


def smoke_document(found: "FleetSmoke") -> dict[str, Any]:
    """Every job, as JSON has it."""
    return {
        "ok": all(host.passed for host in found.hosts),
        "hosts": [
            {
                "host": host.host,
                "passed": host.passed,
                "text": host.text,
                "took_s": round(host.took_s, 3),
                "jobs": [_job_document(job) for job in host.jobs],
            }
            for host in found.hosts
        ],
        "not_tried": dict(found.left_out),
    }


def _job_document(job: "SmokeJob") -> dict[str, Any]:
    return {
        "job": job.what,
        "passed": job.passed,
        "failed_at": None if job.failed_at is None else job.failed_at.value,
        "text": job.text,
        "advice": job.advice or None,
        "price": None if job.price is None else str(job.price),
        "tickets": job.tickets,
        "spent_wei": str(job.spent),
        "took_s": round(job.took_s, 3),
    }
