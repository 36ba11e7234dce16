"""One AI job of an orchestrator: fetch its input, have the model do it, upload the outcome."""

import logging
import random
import time

import httpx

from livefleet.ai import AiJob, AiResult, NoCapacity, json_object, kind_of, parse_job
from livefleet.kernel import OutsideWorld, Refused
from livefleet.spec import Pipeline
from livefleet.wire.ai_messages import AiTask
from livefleet.wire.ai_models import Ai
from livefleet.wire.ai_results import ERROR_TYPE, MULTIPART_TYPE, PROTOCOL_VERSION, encode_result
from livefleet.wire.auth import new_id
from livefleet.wire.fetch import fetch
from livefleet.wire.work_stats import AiStats
from livefleet.wire.worker.upload import upload

__all__ = ["AiJobRunner"]

log = logging.getLogger(__name__)

_MAX_INPUT = 300_000_000  # bytes
_UPLOAD_TIMEOUT_S = 60.0


class AiJobRunner:
    """Does tasks and reports them to where they came from. `client` speaks HTTP/2 and does not verify."""

    def __init__(
        self,
        *,
        results_url: str,
        secret: str,
        ai: Ai,
        client: httpx.AsyncClient,
        rng: random.Random,
        orchestrator_uri: str,
        stats: AiStats,
    ) -> None:
        self._results_url = results_url
        self._secret = secret
        self._ai = ai
        self._client = client
        self._rng = rng
        self._orchestrator_uri = orchestrator_uri
        self._stats = stats

    async def run(self, task: AiTask) -> bool:
        """Whether the result is there and uploaded; False after a failure that was reported.

        Raises OutsideWorld when the orchestrator does not take the upload.
        """
        try:
            model_id, result = await self._do(task)
        except Refused as error:
            log.warning("ai_task.failed", extra={"task": task.task_id, "error": error.text})
            await self.report_failure(task.task_id, task.pipeline, error.text)
            return False
        boundary = self._rng.randbytes(10).hex()
        pieces = tuple(encode_result(result, boundary, lambda: new_id(self._rng)))
        started = time.monotonic()
        await self._post(task.task_id, task.pipeline, f"{MULTIPART_TYPE}; boundary={boundary}", pieces)
        took_s = time.monotonic() - started
        self._stats.uploads_s.observe(self._orchestrator_uri, task.pipeline, model_id, value=took_s)
        return True

    async def report_failure(self, task_id: int, pipeline: str, text: str) -> None:
        """Tell the orchestrator why. Raises OutsideWorld."""
        await self._post(task_id, pipeline, ERROR_TYPE, (text.encode(),))

    async def _do(self, task: AiTask) -> tuple[str, AiResult]:
        """The model's id and what it made. Raises Refused with the text for the orchestrator."""
        job = await self._job_of(task)
        try:
            with self._ai.reserve(job.pipeline, job.model_id) as place:
                return job.model_id, await place.run(job)
        except NoCapacity as error:
            log.warning("ai_task.no_capacity", extra={"task": task.task_id, "model": error.model_id, "why": error.why})
            raise Refused("no workers can process job requested", status=500) from error

    async def _job_of(self, task: AiTask) -> AiJob:
        upload = None
        if task.input_url:
            try:
                upload = await fetch(self._client, task.input_url, limit=_MAX_INPUT)
            except OutsideWorld as error:
                raise _invalid(task, str(error)) from error
        try:
            kind = kind_of(Pipeline(task.pipeline))
        except ValueError:
            raise _invalid(task, "AI request pipeline type not supported") from None
        try:
            return parse_job(kind, json_object(task.request), upload)
        except ValueError as error:
            raise _invalid(task, str(error)) from error
        except Refused as error:
            raise _invalid(task, error.text) from error

    async def _post(self, task_id: int, pipeline: str, content_type: str, pieces: tuple[bytes, ...]) -> None:
        headers = {
            "Authorization": PROTOCOL_VERSION,
            "Credentials": self._secret,
            "Pipeline": pipeline,
            "Content-Type": content_type,
        }
        await upload(
            self._client,
            self._results_url,
            task_id=task_id,
            headers=headers,
            pieces=pieces,
            timeout_s=_UPLOAD_TIMEOUT_S,
        )


def _invalid(task: AiTask, reason: str) -> Refused:
    return Refused(f"AI request validation failed for {task.pipeline} pipeline err={reason}", status=500)
