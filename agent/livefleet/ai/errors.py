"""What can go wrong with a model.

LivefleetError
|- Refused
|  |- NoCapacity        no runner of that model has room (also: no such model); gateways try elsewhere and come back
|  |- BadRequest        the request's own fault; the text keeps gateways from punishing us
|  |- Malformed         a body that no gateway sends, in the words of the reference's orchestrator
|  `- RunnerRefused     the runner answered with an error or died under the request
|     `- RunnerHung     it neither answered nor gave up at the time limit
|- Transient
|  |- RunnerLost        a runner ended, hung or would not load; it is started again
|  `- SourceMissing     the weights are not where the entry says
|     |- WeightsMissing no such repository, revision or file there
|     |- HubRefused     the hub wants a login, another token, or its licence agreed to
|     |- HubAway        the hub or the site's cache does not answer, or stops in the midst of it
|     |- WeightsBroken  what came is not what was announced
|     `- DiskFull       the files would not fit
`- InferenceFailed      inside a runner: the pipeline could not do the request
   |- BadFields         this model cannot do what the request asks
   |- BadUpload         the file is not what the pipeline takes
   |- OutOfMemory       the device's memory did not suffice
   |- DeadlinePassed    stopped at the request's time limit
   `- Cancelled         nobody waits for the result any more
"""

from livefleet.kernel import LivefleetError, Refused, Transient

__all__ = [
    "BadFields",
    "BadRequest",
    "BadUpload",
    "Cancelled",
    "DeadlinePassed",
    "DiskFull",
    "HubAway",
    "HubRefused",
    "InferenceFailed",
    "Malformed",
    "NoCapacity",
    "OutOfMemory",
    "RunnerHung",
    "RunnerLost",
    "RunnerRefused",
    "SourceMissing",
    "Unbillable",
]


class NoCapacity(Refused):
    """The protocol's answer when no runner can take the request; `why` is for our own log."""

    def __init__(self, model_id: str, why: str, *, memory: bool = False) -> None:
        super().__init__("insufficient capacity", status=503)
        self.model_id = model_id
        self.why = why
        self.memory = memory  # it is memory that lacks, not a place


class BadRequest(Refused):
    """A request outside the limits.

    Gateways hand an error that says `returned 400` to their client and stay with us; any other text gets us suspended.
    """

    def __init__(self, pipeline: str, fault: str) -> None:
        super().__init__(f"{pipeline} container returned 400: {fault}", status=400)
        self.fault = fault


class Malformed(Refused):
    """A request that cannot be read, or of which it cannot be told what it costs.

    Gateways read and reckon with each request themselves before they pass it on, so none is ever told this.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text, status=400)


class Unbillable(ValueError):
    """What a request costs cannot be told; the text is the reference's, for Malformed."""


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


class WeightsMissing(SourceMissing):
    """No such repository, revision or file at the hub or in the site's cache."""


class HubRefused(SourceMissing):
    """The hub does not give the files to whoever asks. Somebody has to log in, or agree to a licence."""


class HubAway(SourceMissing):
    """No answer, or one that ends too early. What has come is kept, and the next try goes on there."""


class WeightsBroken(SourceMissing):
    """What came is not what was announced: a wrong hash, or an answer that is none."""


class DiskFull(SourceMissing):
    """The files would not fit, or did not."""


class InferenceFailed(LivefleetError):
    """The pipeline cannot do this request."""


class BadFields(InferenceFailed):
    """What is asked is within the pipeline's limits, but not within this model's; the text is for the client."""


class BadUpload(InferenceFailed):
    """A file that the pipeline cannot read; `status` and text are ai-runner's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class OutOfMemory(InferenceFailed):
    """Raised in place of torch's own class, which only runner processes know."""


class DeadlinePassed(InferenceFailed):
    """Computing was stopped at the time limit."""


class Cancelled(InferenceFailed):
    """Computing was stopped because the client is gone."""
