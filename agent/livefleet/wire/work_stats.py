"""What is counted of media and AI work, on either side of the worker split. Plain numbers, read at scrape.

Bounds are the reference's, sorted, without doubles and zero, as its exporter shows them. Source: go-livepeer
monitor/census.go.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from livefleet.kernel import Histogram, Histograms, LastValues, LivefleetError, Refused, Tally
from livefleet.media import Profile
from livefleet.payments import BadPayment

__all__ = ["AUTH_WEBHOOK_MS", "AiStats", "SegmentStats", "refusal_reason"]

AUTH_WEBHOOK_MS: Final = (100, 250, 500, 750, 1000, 1500, 2000, 2500, 3000, 5000, 10000)

_DURATION_S: Final = (0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 10, 15, 20)
_TRANSCODE_S: Final = (0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 10)
_SCORE: Final = (0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 10, 15, 20, 40)
_TRANSFER_S: Final = (0.1, 0.15, 0.2, 0.5, 10)
_FETCH_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_LADDERS = 30  # sets of profile names told apart
_LEAST_S = 1e-6

_PLAIN_WORDS: Final = re.compile(r"[A-Za-z][A-Za-z0-9 ]{0,47}")


@dataclass(slots=True)
class SegmentStats:
    """Segments through their life. Streams are told apart by manifest id, ladders by their profiles' names."""

    taken: Tally = field(default_factory=Tally)  # by manifest id: segments with a place and a payment
    durations_s: Histograms = field(default_factory=lambda: Histograms(_DURATION_S))  # by manifest id
    downloads_s: Histograms = field(default_factory=lambda: Histograms(_TRANSFER_S))  # by manifest id
    uploads: Tally = field(default_factory=lambda: Tally(keep=1))  # by orchestrator URI, manifest id
    uploads_s: Histograms = field(default_factory=lambda: Histograms(_TRANSFER_S))  # by orchestrator URI
    transcodes_s: Histograms = field(default_factory=lambda: Histograms(_TRANSCODE_S, limit=_LADDERS))  # by ladder
    scores: Histograms = field(default_factory=lambda: Histograms(_SCORE, limit=_LADDERS))  # by ladder
    pixels: Tally = field(default_factory=Tally)  # by manifest id: charged
    fetches_s: Histogram = field(default_factory=lambda: Histogram(_FETCH_S))  # sources fetched from a URL

    def take(self, manifest_id: str, duration_ms: int) -> None:
        """A segment is taken; its body comes next."""
        self.taken.add(manifest_id)
        self.durations_s.observe(manifest_id, value=duration_ms / 1000)

    def transcoded(self, profiles: Iterable[Profile], duration_ms: int, took_s: float) -> None:
        """A device of this machine did a segment."""
        ladder = ",".join(sorted(profile.name for profile in profiles))
        self.transcodes_s.observe(ladder, value=took_s)
        self.scores.observe(ladder, value=duration_ms / 1000 / max(took_s, _LEAST_S))

    def uploaded(self, orchestrator_uri: str, manifest_id: str, took_s: float) -> None:
        """A result was sent to an orchestrator, which took it."""
        self.uploads.add(orchestrator_uri, manifest_id)
        self.uploads_s.observe(orchestrator_uri, value=took_s)


@dataclass(slots=True)
class AiStats:
    """AI jobs by pipeline and model: those done, and results on their way between orchestrator and worker."""

    done: Tally = field(default_factory=Tally)
    latency_scores: LastValues = field(default_factory=LastValues)
    prices: LastValues = field(default_factory=LastValues)  # wei per unit that the gateway expected
    errors: Tally = field(default_factory=lambda: Tally(keep=1))  # by reason, pipeline, model, sender
    downloads_s: Histograms = field(default_factory=lambda: Histograms(_TRANSFER_S))
    uploads_s: Histograms = field(default_factory=lambda: Histograms(_TRANSFER_S))  # by orchestrator URI before these
    save_failures: Tally = field(default_factory=lambda: Tally(keep=1))  # by error code before these

    def finish(self, pipeline: str, model_id: str, *, latency_score: float, price: float) -> None:
        """A job was done and charged. `latency_score`: seconds for each output unit and step."""
        self.done.add(pipeline, model_id)
        self.latency_scores.set(pipeline, model_id, value=latency_score)
        self.prices.set(pipeline, model_id, value=price)

    def fail(self, error: LivefleetError, pipeline: str, model_id: str, sender: str) -> None:
        """A job that was taken came to nothing."""
        self.errors.add(refusal_reason(error), pipeline, model_id, sender)


def refusal_reason(error: LivefleetError) -> str:
    """A refusal as a label: the protocol's words where they are plain ones, else what kind of error it is. Pure."""
    if isinstance(error, BadPayment):
        return error.kind
    text = error.text.rpartition(": ")[2] if isinstance(error, Refused) else ""
    return text if _PLAIN_WORDS.fullmatch(text) else type(error).__name__
