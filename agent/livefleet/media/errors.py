"""What can go wrong with worker processes. Toward callers everything is a `TranscodeError` (models.py).

LivefleetError
|- TranscodeError   the segment was not transcoded; `text` goes on the wire
|- WorkerLost       the process went away under a job; the job may be tried again
`- Transient
   `- WorkerExited  the process ended; the supervisor starts another
"""

from livefleet.kernel import LivefleetError, Transient

__all__ = ["WorkerExited", "WorkerLost"]


class WorkerLost(LivefleetError):
    """The process that had a job is gone. The segment may be at fault, or a neighbour's."""


class WorkerExited(Transient):
    """A worker process ended or could not be made ready. `reason` is one word for machines."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
