"""Why a gateway would select an orchestrator, or not: looks first, judges then, says what to do."""

from livefleet.wire.gateway.selection.jobs import model_job, transcoding_job
from livefleet.wire.gateway.selection.models import Job, Question, Report, Row, Verdict
from livefleet.wire.gateway.selection.walk import walk

__all__ = ["Job", "Question", "Report", "Row", "Verdict", "model_job", "transcoding_job", "walk"]
