"""What one look at a runner means: a pure step from the last state to the next."""

from dataclasses import dataclass, replace
from enum import StrEnum

from livefleet.ai.errors import RunnerLost

__all__ = ["RunnerHealth", "RunnerState", "Watch", "WatchLimits"]


class RunnerHealth(StrEnum):
    """What `/health` says; SILENT stands for no proper answer, LATE for none in time from somebody who is there."""

    OK = "OK"
    LOADING = "LOADING"
    IDLE = "IDLE"
    ERROR = "ERROR"
    SILENT = ""
    LATE = "late"


class RunnerState(StrEnum):
    """A runner as the pool sees it."""

    COLD = "cold"  # no process; the first request starts one
    LOADING = "loading"  # a process that has not answered OK yet
    READY = "ready"  # answers; takes requests
    HUNG = "hung"  # gives no sign of life; what it works on is waited for
    LOST = "lost"  # no process; the next start is waited for
    UNLOADED = "unloaded"  # at an operator's request, until that is taken back


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """Patience, in seconds and failures."""

    load_timeout_s: float = 180.0
    health_every_s: float = 5.0
    loading_every_s: float = 0.5
    health_timeout_s: float = 5.0
    failures_to_kill: int = 2
    silence_s: float = 1.2  # without a sign of life, until it is not offered any more
    stop_grace_s: float = 8.0  # between SIGTERM and SIGKILL
    cancel_grace_s: float = 30.0  # past a request's time limit, before the runner counts as hung


@dataclass(frozen=True, slots=True)
class Watch:
    """What is known of one runner process since its start."""

    started: float  # seconds on the loop's clock
    ready: bool = False
    failures: int = 0  # in a row, since it was ready

    def after(self, health: RunnerHealth, *, now: float, limits: WatchLimits) -> "Watch":
        """The next state. Raises RunnerLost when the process has to be killed and started again.

        A process that loads holds Python's lock for seconds at a time, so its silence counts only by the load limit.
        """
        match health:
            case RunnerHealth.ERROR:
                raise RunnerLost("RunnerError", "the runner reports an error")
            case RunnerHealth.OK | RunnerHealth.IDLE:
                return replace(self, ready=True, failures=0)
            case RunnerHealth.LOADING | RunnerHealth.SILENT | RunnerHealth.LATE if not self.ready:
                if now - self.started >= limits.load_timeout_s:
                    raise RunnerLost("LoadTimeout", f"not loaded within {limits.load_timeout_s:g} s")
                return self
            case _:
                failures = self.failures + 1
                if failures >= limits.failures_to_kill:
                    raise RunnerLost("NotAnswering", f"no healthy answer to {_checks(failures)}")
                return replace(self, failures=failures)

    def wait_s(self, limits: WatchLimits) -> float:
        """How long to wait before the next look: after a failure as short as while it loads."""
        return limits.health_every_s if self.ready and not self.failures else limits.loading_every_s


def _checks(failures: int) -> str:
    return "a check" if failures == 1 else f"{failures} checks in a row"
