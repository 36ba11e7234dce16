"""One AI job of an orchestrator: fetch its input, have the model do it, upload the outcome.

Source: go-livepeer server/ai_worker.go, whose texts these are.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx

from livefleet.ai import SERVED, AiJob, AiResult, Kind, NoCapacity, json_object, kind_of, parse_job
from livefleet.kernel import OutsideWorld, Refused
from livefleet.spec import Pipeline
from livefleet.wire.ai_events import EVENTS_TYPE, encode_event, has_choice, is_last
from livefleet.wire.ai_film import with_film
from livefleet.wire.ai_messages import AiTask
from livefleet.wire.ai_models import Ai, Place
from livefleet.wire.ai_results import ERROR_TYPE, MULTIPART_TYPE, PROTOCOL_VERSION, encode_result
from livefleet.wire.auth import new_id
from livefleet.wire.fetch import fetch
from livefleet.wire.work_stats import AiStats
from livefleet.wire.worker.event_upload import upload_events
from livefleet.wire.worker.secret import ShownSecret
from livefleet.wire.worker.upload import upload_shown

__all__ = ["AiJobRunner"]

log = logging.getLogger(__name__)

_FETCH_TIMEOUT_S = 30.0  # the reference has 4 s, too little for 50 MB over a slow line; the file is there for minutes
_UPLOAD_TIMEOUT_S = 60.0
_STREAM_TIMEOUT_S = 600.0  # as long as an orchestrator reads a stream


class AiJobRunner:
    """Does tasks and reports them to where they came from. `client` speaks HTTP/2 and does not verify."""

    def __init__(
        self,
        *,
        results_url: str,
        secret: ShownSecret,
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
        """Whether the result is there and uploaded; False after a failure that was told.

        Raises OutsideWorld when the orchestrator does not take the upload.
        """
        try:
            wanted = _Wanted.of(task)
            with self._place(task, wanted) as place:
                job = await self._job_of(task, wanted)
                if job.streams:
                    return await self._bring_stream(task, place.stream(job))
                result = await with_film(job, await place.run(job))
        except Refused as error:
            log.warning("ai_task.failed", extra={"task": task.task_id, "error": error.text})
            await self.report_failure(task.task_id, task.pipeline, error.text)
            return False
        await self._bring(task, wanted.model_id, result)
        return True

    async def report_failure(self, task_id: int, pipeline: str, text: str) -> None:
        """Tell the orchestrator why. Raises OutsideWorld."""
        await self._post(task_id, pipeline, ERROR_TYPE, (text.encode(),))

    @contextmanager
    def _place(self, task: AiTask, wanted: "_Wanted") -> Iterator[Place]:
        """Before the input is fetched, so that no more of these are held than there are places. Raises Refused."""
        try:
            with self._ai.reserve(wanted.kind.pipeline, wanted.model_id) as place:
                yield place
        except NoCapacity as error:
            log.warning("ai_task.no_capacity", extra={"task": task.task_id, "model": error.model_id, "why": error.why})
            raise Refused("no workers can process job requested", status=500) from error

    async def _job_of(self, task: AiTask, wanted: "_Wanted") -> AiJob:
        """Raises Refused."""
        data: bytes | None = None
        if wanted.kind.upload is not None:
            try:
                limit = wanted.kind.upload.max_bytes
                data = await fetch(self._client, task.input_url, limit=limit, timeout_s=_FETCH_TIMEOUT_S)
            except OutsideWorld as error:
                raise _invalid(task, str(error)) from error
        try:
            return parse_job(wanted.kind, wanted.fields, data)
        except Refused as error:
            raise _invalid(task, error.text) from error

    async def _bring(self, task: AiTask, model_id: str, result: AiResult) -> None:
        boundary = self._rng.randbytes(10).hex()
        # In a thread: masks come as megabytes of text, which are written in slices, so that others have their turn.
        pieces = await asyncio.to_thread(lambda: tuple(encode_result(result, boundary, lambda: new_id(self._rng))))
        started = time.monotonic()
        await self._post(task.task_id, task.pipeline, f"{MULTIPART_TYPE}; boundary={boundary}", pieces)
        took_s = time.monotonic() - started
        self._stats.uploads_s.observe(self._orchestrator_uri, task.pipeline, model_id, value=took_s)

    async def _bring_stream(self, task: AiTask, chunks: AsyncGenerator[Mapping[str, Any], None]) -> bool:
        """Chunk by chunk as the model makes them; a failure before the first is an error upload, raised as Refused.

        A stream that fails later is just closed: Go orchestrators would fall over a chunk that says so.
        """
        is_whole = False

        async def events(chunk: Mapping[str, Any] | None) -> AsyncGenerator[bytes, None]:
            nonlocal is_whole
            try:
                while chunk is not None and not is_whole:
                    is_whole = is_last(chunk)
                    yield encode_event(chunk)
                    chunk = None if is_whole else await _next_of(chunks)
            except Refused as error:
                log.warning("ai_task.stream_failed", extra={"task": task.task_id, "error": error.text})

        async with aclosing(chunks):
            first = await _next_of(chunks)
            if first is None:
                raise Refused("LLM container sent no chunk", status=500)
            async with aclosing(events(first)) as pieces:
                headers = _headers(task.pipeline, EVENTS_TYPE) | {"Cache-Control": "no-cache"}
                headers |= {"Credentials": self._secret.text}  # a body that is being made cannot be sent twice
                wanted = await upload_events(
                    self._results_url, task_id=task.task_id, headers=headers, pieces=pieces, room_s=_STREAM_TIMEOUT_S
                )
        if not (wanted or is_whole):
            log.info("ai_task.not_wanted_any_more", extra={"task": task.task_id})
        return is_whole

    async def _post(self, task_id: int, pipeline: str, content_type: str, pieces: tuple[bytes, ...]) -> None:
        await upload_shown(
            self._secret,
            self._client,
            self._results_url,
            task_id=task_id,
            headers=_headers(pipeline, content_type),
            pieces=pieces,
            timeout_s=_UPLOAD_TIMEOUT_S,
        )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a task asks for, before its input is there."""

    kind: Kind[Any]
    fields: Mapping[str, Any]
    model_id: str

    @classmethod
    def of(cls, task: AiTask) -> Self:
        """Raises Refused with the text for the orchestrator."""
        if task.pipeline not in SERVED:
            raise _invalid(task, "AI request pipeline type not supported")
        kind = kind_of(Pipeline(task.pipeline))
        try:
            fields = {} if task.request == b"null" else json_object(task.request)
        except ValueError as error:
            raise _invalid(task, str(error)) from error
        match fields.get(kind.model_field):
            case None:
                raise _invalid(task, "<nil>")
            case str() as model_id:
                return cls(kind, fields, model_id)
            case _:
                raise _invalid(task, f"{kind.model_field} is no text")


def _headers(pipeline: str, content_type: str) -> dict[str, str]:
    return {"Authorization": PROTOCOL_VERSION, "Pipeline": pipeline, "Content-Type": content_type}


async def _next_of(chunks: AsyncGenerator[Mapping[str, Any], None]) -> Mapping[str, Any] | None:
    """The next that has a choice: Go peers cannot read others, such as those that tell nothing but the usage."""
    async for chunk in chunks:
        if has_choice(chunk):
            return chunk
    return None


def _invalid(task: AiTask, reason: str) -> Refused:
    return Refused(f"AI request validation failed for {task.pipeline} pipeline err={reason}", status=500)
