"""Whether a host earns: what a paid job that was done on it says."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from threading import Lock

from livefleet.kernel import ExitCode, LivefleetError
from livefleet.spec import Fleet

__all__ = ["FleetSmoke", "Smoke", "SmokeJob", "SmokeResult", "SmokeStage", "smoke_fleet", "why_not_paid"]


class SmokeStage(StrEnum):
    """Where a job can fail, in the order in which a gateway comes to it."""

    LOOK = "look"  # at the host's own /status
    DISCOVER = "discover"  # the front door answers, takes work and offers it
    PRICE = "price"  # it asks no more than is allowed
    PAY = "pay"  # tickets are as gateways want them, and are taken
    WORK = "work"  # it transcodes, or its model answers
    CHECK = "check"  # what came back is what was asked for, and is signed
    PLACE = "place"  # it was this worker that did it


@dataclass(frozen=True, slots=True)
class SmokeJob:
    """One job, or one look, and how far it came."""

    what: str  # `video`, or `PIPELINE MODEL`
    text: str  # what was proven, or what went wrong
    failed_at: SmokeStage | None = None  # None: passed
    advice: str = ""  # what to do about it
    price: Fraction | None = None  # wei per unit; None: nothing is asked, or it was not heard
    tickets: int = 0
    spent: Fraction = Fraction(0)  # wei, expected value of these tickets
    took_s: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether it came to its end."""
        return self.failed_at is None


@dataclass(frozen=True, slots=True)
class SmokeResult:
    """What became of one host's jobs."""

    host: str
    passed: bool
    text: str  # what was proven; or at which stage it failed, why, and what to do
    took_s: float
    jobs: tuple[SmokeJob, ...] = ()

    @classmethod
    def of(cls, host: str, jobs: Sequence[SmokeJob], took_s: float) -> "SmokeResult":
        """All of them have to pass, and there has to be one."""
        bad = [job for job in jobs if not job.passed]
        told = [_told(job) for job in bad or jobs] or ["nothing was tried"]
        return cls(host, bool(jobs) and not bad, "; ".join(told), took_s, tuple(jobs))


Smoke = Callable[[str], SmokeResult]
"""Host name in, its result out; blocks until the job is done. A job that fails is a result, not an error."""


@dataclass(frozen=True, slots=True)
class FleetSmoke:
    """All hosts that were tried, in the order asked."""

    hosts: tuple[SmokeResult, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)  # host that was not tried: why

    @property
    def exit_code(self) -> ExitCode:
        """1 when some host failed, 3 when all did."""
        bad = [host for host in self.hosts if not host.passed]
        if not bad:
            return ExitCode.DONE
        return ExitCode.OUTSIDE_SAID_NO if len(bad) == len(self.hosts) else ExitCode.PARTLY_FAILED


def why_not_paid(fleet: Fleet, hosts: Sequence[str]) -> str:
    """Why no paid job can be tried of these hosts; empty: it can, or nothing is paid off chain."""
    if fleet.spec.smoke.key is None and any(fleet.node(name).network.on_chain for name in hosts):
        return "no `smoke.key` is declared"
    return ""


def smoke_fleet(
    hosts: Sequence[str], smoke: Smoke, *, on_result: Callable[[SmokeResult], None] = lambda _: None, parallel: int = 4
) -> FleetSmoke:
    """Try the hosts, `parallel` at a time; what goes wrong with one is that host's alone.

    `on_result` hears of each as it ends, from one thread at a time.
    """
    lock = Lock()

    def one(host: str) -> SmokeResult:
        started = time.monotonic()
        try:
            result = smoke(host)
        except LivefleetError as error:
            result = SmokeResult(host, passed=False, text=str(error), took_s=time.monotonic() - started)
        with lock:
            on_result(result)
        return result

    with ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="smoke") as pool:
        return FleetSmoke(tuple(pool.map(one, hosts)))


def _told(job: SmokeJob) -> str:
    if job.failed_at is None:
        return f"{job.what}: {job.text}"
    told = f"{job.what} failed at {job.failed_at.value}: {job.text}"
    return f"{told} ({job.advice})" if job.advice else told
