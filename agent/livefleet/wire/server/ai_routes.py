"""POST /text-to-image: AI work over HTTP. Errors are plain text, which gateways match by wording."""

import asyncio
import base64
import contextlib
import logging
import random
import time
from collections.abc import Iterator

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from livefleet.ai import ImageResult, NoCapacity, TextToImageRequest, parse_text_to_image
from livefleet.kernel import LivefleetError, Refused, SessionId
from livefleet.payments import Payments
from livefleet.spec import Pipeline
from livefleet.wire.ai_models import Ai
from livefleet.wire.auth import new_id
from livefleet.wire.capabilities import Capability
from livefleet.wire.server.admission import Admission, Admitted
from livefleet.wire.server.counters import Counters
from livefleet.wire.server.http_answers import internal_error, read_body, refusal
from livefleet.wire.server.stream_store import StreamStore

__all__ = ["AiService"]

log = logging.getLogger(__name__)

_NEW_GATEWAY = "Livepeer-AI-Worker-1.0"  # in `Authorization`: a version mark; without it results go back inline
_MAX_REQUEST = 1_000_000  # bytes
_KEEP_S = 600.0


class AiService:
    """The AI routes. A place on the model is held before the payment is taken and given back whatever happens."""

    def __init__(
        self,
        *,
        admission: Admission,
        payments: Payments,
        ai: Ai,
        store: StreamStore,
        counters: Counters,
        rng: random.Random,
    ) -> None:
        self._admission = admission
        self._payments = payments
        self._ai = ai
        self._store = store
        self._counters = counters
        self._rng = rng
        self._under_way = 0
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    def routes(self) -> list[Route]:
        """For the front door's application."""
        return [Route("/text-to-image", self.text_to_image, methods=["POST"])]

    @property
    def under_way(self) -> int:
        """Requests that hold a place."""
        return self._under_way

    async def drain(self) -> None:
        """Take no work any more, and return when all that was taken is done: workers still need the door for it."""
        self._draining = True
        await self._idle.wait()

    async def text_to_image(self, request: Request) -> Response:
        """Check, reserve, take the payment, make the images, charge their pixels."""
        try:
            job = parse_text_to_image(await read_body(request, _MAX_REQUEST))
            admitted = self._admission.check_headers(request)
            images = await self._paid(admitted, job)
        except LivefleetError as error:
            self._counters.images_failed += 1
            self._counters.refuse("text-to-image", error)
            log.info("text_to_image.refused", extra={"error": str(error)})
            return refusal(error) if isinstance(error, Refused) else internal_error()
        except ClientDisconnect:
            return internal_error()
        self._counters.images_ok += len(images)
        inline = request.headers.get("authorization") != _NEW_GATEWAY
        folder = new_id(self._rng)
        return JSONResponse(
            {
                "images": [
                    {
                        "url": _data_url(image) if inline else self._stored(folder, image),
                        "seed": image.seed,
                        "nsfw": image.nsfw,
                    }
                    for image in images
                ]
            }
        )

    async def _paid(self, admitted: Admitted, job: TextToImageRequest) -> list[ImageResult]:
        balance = SessionId(f"{Capability.TEXT_TO_IMAGE:d}_{job.model_id}")
        with contextlib.ExitStack() as held:
            if self._draining:
                raise NoCapacity(job.model_id, "the node is stopping")
            place = held.enter_context(self._ai.reserve(job.model_id))
            held.enter_context(self._counted())
            await self._payments.receive(admitted.payment, balance)
            quote = await self._payments.quote(
                admitted.payment.sender, session=balance, models=((Pipeline.TEXT_TO_IMAGE, job.model_id),)
            )
            self._payments.require_balance(admitted.payment, balance, price=quote.price)
            started = time.monotonic()
            try:
                images = list(await place.text_to_image(job))
            except LivefleetError as error:
                sender = admitted.payment.sender or ""
                self._counters.ai.fail(error, Pipeline.TEXT_TO_IMAGE, job.model_id, sender)
                raise
            took_s = time.monotonic() - started
            self._payments.debit(admitted.payment, balance, job.pixels, price=quote.price)
            self._counters.ai.finish(
                Pipeline.TEXT_TO_IMAGE,
                job.model_id,
                latency_score=took_s / job.pixels / job.num_inference_steps,
                price=float(admitted.payment.expected_price or 0),
            )
            return images

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    def _stored(self, folder: str, image: ImageResult) -> str:
        return self._store.put(folder, "", f"{new_id(self._rng)}.png", image.png, keep_s=_KEEP_S)


def _data_url(image: ImageResult) -> str:
    return "data:image/png;base64," + base64.b64encode(image.png).decode()
