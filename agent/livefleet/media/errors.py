"""What can go wrong with worker processes. Toward callers everything is a `TranscodeError` (models.py).

LivefleetError
|- TranscodeError   the segment was not transcoded; `text` goes on the wire
|- WorkerLost       the process went away under a job; the job may be tried again
|  |- WorkerAbsent  there was none to begin with: no segment is at fault
|  `- WorkerHung    ended by us after the job's deadline: whoever asked has hardly any patience left
`- Transient
   `- WorkerExited  the process ended; the supervisor starts another
"""

from livefleet.kernel import LivefleetError, Transient

__all__ = ["WorkerAbsent", "WorkerExited", "WorkerHung", "WorkerLost"]


class WorkerLost(LivefleetError):
    """The process that had a job is gone. The segment may be at fault, or a neighbour's."""


class WorkerAbsent(WorkerLost):
    """No process took the job."""


class WorkerHung(WorkerLost):
    """The process did not answer within the job's deadline and was ended."""


class WorkerExited(Transient):
    """A worker process ended or could not be made ready. `reason` is one word for machines."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
