"""One task of an orchestrator: fetch the source, transcode, upload the outcome."""

import logging
import random
import time

import httpx

from livefleet.kernel import OutsideWorld, SessionId
from livefleet.media import TranscodeError, TranscodeJob, TranscodeResult
from livefleet.wire.capabilities import Capabilities
from livefleet.wire.fetch import fetch
from livefleet.wire.messages import WorkerTask
from livefleet.wire.results import ERROR_TYPE, MAX_PART, MULTIPART_TYPE, PROTOCOL_VERSION, encode_result
from livefleet.wire.transcoding import LocalTranscoding
from livefleet.wire.work_stats import SegmentStats
from livefleet.wire.worker.secret import ShownSecret
from livefleet.wire.worker.upload import upload_shown

__all__ = ["JobRunner"]

log = logging.getLogger(__name__)

_UPLOAD_TIMEOUT_S = 30.0


class JobRunner:
    """Does tasks and reports them to where they came from. `client` speaks HTTP/2 and does not verify."""

    def __init__(
        self,
        *,
        results_url: str,
        secret: ShownSecret,
        transcoder: LocalTranscoding,
        client: httpx.AsyncClient,
        rng: random.Random,
        orchestrator_uri: str = "",
        stats: SegmentStats | None = None,
    ) -> None:
        self._orchestrator_uri = orchestrator_uri
        self._stats = stats or SegmentStats()
        self._results_url = results_url
        self._secret = secret
        self._transcoder = transcoder
        self._client = client
        self._rng = rng

    async def run(self, task: WorkerTask, own: Capabilities) -> TranscodeResult | None:
        """The result once it is uploaded; None after a failure that was reported.

        Raises OutsideWorld when the orchestrator does not take the upload.
        """
        try:
            result = await self._transcode(task, own)
        except TranscodeError as error:
            log.warning("task.failed", extra={"task": task.task_id, "error": str(error)})
            await self.report_failure(task.task_id, error.text)
            return None
        started = time.monotonic()
        await self._upload_result(task, result)
        manifest_id = task.credentials.manifest_key
        self._stats.uploaded(self._orchestrator_uri, manifest_id, time.monotonic() - started)
        return result

    async def report_failure(self, task_id: int, text: str) -> None:
        """Tell the orchestrator why. Raises OutsideWorld."""
        await self._post(task_id, 0, ERROR_TYPE, (text.encode(),))

    async def _transcode(self, task: WorkerTask, own: Capabilities) -> TranscodeResult:
        credentials = task.credentials
        if not own.serves(credentials.capabilities or Capabilities()):
            raise TranscodeError("incompatible segment capabilities")
        token = credentials.auth_token
        job = TranscodeJob(
            session=token.session if token else SessionId(f"task-{task.task_id}"),
            sequence=credentials.sequence,
            source=await self._fetch(task.url),
            duration_ms=credentials.duration_ms,
            profiles=credentials.profiles,
            orchestrator_id=task.orchestrator_id,
            clip_from_ms=credentials.clip_from_ms,
            clip_to_ms=credentials.clip_to_ms,
            calc_perceptual_hash=credentials.calc_perceptual_hash,
            force_reinit=credentials.force_session_reinit,
        )
        started = time.monotonic()
        result = await self._transcoder.transcode(job)
        self._stats.transcoded(job.profiles, job.duration_ms, time.monotonic() - started)
        if len(result.renditions) != len(job.profiles):
            raise TranscodeError("segment / profile mismatch")
        return result

    async def _fetch(self, url: str) -> bytes:
        started = time.monotonic()
        try:
            source = await fetch(self._client, url, limit=MAX_PART)
        except OutsideWorld as error:
            raise TranscodeError(str(error)) from error
        self._stats.fetches_s.observe(time.monotonic() - started)
        return source

    async def _upload_result(self, task: WorkerTask, result: TranscodeResult) -> None:
        boundary = self._rng.randbytes(10).hex()
        pieces = tuple(encode_result(task.credentials.profiles, result.renditions, boundary))
        await self._post(task.task_id, result.decoded_pixels, f"{MULTIPART_TYPE}; boundary={boundary}", pieces)

    async def _post(self, task_id: int, pixels: int, content_type: str, pieces: tuple[bytes, ...]) -> None:
        headers = {"Authorization": PROTOCOL_VERSION, "Pixels": str(pixels), "Content-Type": content_type}
        await upload_shown(
            self._secret,
            self._client,
            self._results_url,
            task_id=task_id,
            headers=headers,
            pieces=pieces,
            timeout_s=_UPLOAD_TIMEOUT_S,
        )
