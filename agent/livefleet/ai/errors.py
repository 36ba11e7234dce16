"""What can go wrong with a model.

LivefleetError
|- Refused
|  |- NoCapacity        no runner of that model has room (also: no such model); gateways try elsewhere and come back
|  |- BadRequest        the request's own fault; the text keeps gateways from punishing us
|  `- RunnerRefused     the runner answered with an error or died under the request
|     `- RunnerHung     it neither answered nor gave up at the time limit
|- Transient
|  |- RunnerLost        a runner ended, hung or would not load; it is started again
|  `- SourceMissing     the weights are not where the entry says
`- InferenceFailed      inside a runner: the pipeline could not do the request
   |- OutOfMemory       the device's memory did not suffice
   |- DeadlinePassed    stopped at the request's time limit
   `- Cancelled         nobody waits for the result any more
"""

from livefleet.kernel import LivefleetError, Refused, Transient

__all__ = [
    "BadRequest",
    "Cancelled",
    "DeadlinePassed",
    "InferenceFailed",
    "NoCapacity",
    "OutOfMemory",
    "RunnerHung",
    "RunnerLost",
    "RunnerRefused",
    "SourceMissing",
]


class NoCapacity(Refused):
    """The protocol's answer when no runner can take the request; `why` is for our own log."""

    def __init__(self, model_id: str, why: str) -> None:
        super().__init__("insufficient capacity", status=503)
        self.model_id = model_id
        self.why = why


class BadRequest(Refused):
    """A request outside the limits.

    Gateways hand an error that says `returned 400` to their client and stay with us; any other text gets us suspended.
    """

    def __init__(self, pipeline: str, fault: str) -> None:
        super().__init__(f"{pipeline} container returned 400: {fault}", status=400)
        self.fault = fault


class RunnerRefused(Refused):
    """The runner's error in the words that gateways know, always as a 500."""

    def __init__(self, text: str) -> None:
        super().__init__(text, status=500)


class RunnerHung(RunnerRefused):
    """A runner that has to be killed: it went on past the time limit at which it should have stopped by itself."""


class RunnerLost(Transient):
    """A runner process that must be started again; `reason` is the condition's word for it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class SourceMissing(Transient):
    """No weights where the entry says; they may still be on their way."""


class InferenceFailed(LivefleetError):
    """The pipeline cannot do this request."""


class OutOfMemory(InferenceFailed):
    """Raised in place of torch's own class, which only runner processes know."""


class DeadlinePassed(InferenceFailed):
    """Computing was stopped at the time limit."""


class Cancelled(InferenceFailed):
    """Computing was stopped because the client is gone."""
