"""What changed between two looks at a host, a second. Pure."""

from dataclasses import dataclass

from livefleet.control import HostStatus

__all__ = ["Rates", "rates"]


@dataclass(frozen=True, slots=True)
class Rates:
    """Each for a second."""

    segments: float
    failed: float
    income_wei: float | None  # expected value of tickets that came; None: not on chain


def rates(before: HostStatus | None, now: HostStatus, took_s: float) -> Rates | None:
    """None without an earlier look, and where the node has started anew since."""
    if before is None or before.report is None or now.report is None or took_s <= 0:
        return None
    if before.report.started_at != now.report.started_at:
        return None
    work, earlier_work = _segments(now), _segments(before)
    if work is None or earlier_work is None:
        return None
    income, earlier_income = _income(now), _income(before)
    return Rates(
        segments=(work[0] - earlier_work[0]) / took_s,
        failed=(work[1] - earlier_work[1]) / took_s,
        income_wei=None if income is None or earlier_income is None else (income - earlier_income) / took_s,
    )


def _segments(host: HostStatus) -> tuple[int, int] | None:
    """Done and failed since the start, by the front door or as a worker."""
    assert host.report is not None
    if (server := host.report.server) is not None:
        return server.segments_ok, server.segments_failed
    if (worker := host.report.worker) is not None:
        return worker.done, worker.failed
    return None


def _income(host: HostStatus) -> int | None:
    assert host.report is not None
    payments = host.report.payments
    return payments.tickets.received.expected_value_wei if payments is not None and payments.on_chain else None
