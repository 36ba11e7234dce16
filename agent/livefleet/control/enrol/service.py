"""The operator's service as an ASGI application: challenges, hosts that ask, reports, and a page by code.

A decision is in the store, on disk, before its answer leaves; an answer that is lost is asked for again.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Final, TypeVar

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from livefleet.control.enrol.challenge import Challenges, is_signed
from livefleet.control.enrol.rate import RateLimit
from livefleet.control.enrol.records import HostRecord, HostState
from livefleet.control.enrol.slices import FleetSlices
from livefleet.control.enrol.store import EnrolStore, NotLetIn
from livefleet.kernel import BadInput, LivefleetError
from livefleet.spec.enrol import FirstBootMode
from livefleet.spec.enrolment import (
    ASK_PATH,
    CHALLENGE_HEADER,
    CHALLENGE_PATH,
    CODE_PATH,
    KEY_HEADER,
    LARGEST_BODY,
    REPORT_PATH,
    SIGNATURE_HEADER,
    Challenge,
    EnrolAsk,
    EnrolFault,
    HostReport,
    Refusal,
    Waiting,
)
from livefleet.spec.model import SpecModel

__all__ = ["EnrolService"]

log = logging.getLogger(__name__)

_ASK_AGAIN_S: Final = 10.0
_BODY_S: Final = 10.0
_KEY_DIGITS: Final = 64  # hex, of 32 bytes
_T = TypeVar("_T")
_M = TypeVar("_M", bound=SpecModel)

_WORDS: Final = {
    EnrolFault.TOKEN_UNKNOWN: "the service knows no such token: make one with `livefleet enrol token new`",
    EnrolFault.TOKEN_USED: "the token has let in as many hosts as it may: make another one",
    EnrolFault.TOKEN_EXPIRED: "the token has expired: make another one",
    EnrolFault.TOKEN_REVOKED: "the token was revoked: ask the operator for another one",
    EnrolFault.REJECTED: "the operator has rejected this host, or put another one in its place; if that is a mistake,"
    " ask for `livefleet enrol approve` with its code",
    EnrolFault.NO_ANSWERS: "a pool worker says its payout address and a nickname",
    EnrolFault.NOT_ENROLLED: "this host is not enrolled",
    EnrolFault.BAD_SIGNATURE: "the request is not signed by the host's key over a challenge of the last two minutes",
    EnrolFault.BUSY: "the service is busy",
    EnrolFault.NOT_READY: "the operator's fleet file cannot be used just now; the service's log says why",
}
_STATUS: Final = {
    EnrolFault.BUSY: HTTPStatus.TOO_MANY_REQUESTS,
    EnrolFault.NOT_READY: HTTPStatus.SERVICE_UNAVAILABLE,
    EnrolFault.BAD_REQUEST: HTTPStatus.BAD_REQUEST,
    EnrolFault.BAD_SIGNATURE: HTTPStatus.UNAUTHORIZED,
}


class _No(Exception):
    def __init__(self, fault: EnrolFault, message: str | None = None) -> None:
        super().__init__(fault.value)
        self.refusal = Refusal(fault=fault, message=message or _WORDS[fault])


class EnrolService:
    """`app` is what a server runs; the blocking work is on four threads of its own."""

    def __init__(
        self,
        store: EnrolStore,
        slices: FleetSlices,
        *,
        rate: RateLimit | None = None,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._slices = slices
        self._rate = rate or RateLimit()
        self._now = now
        self._monotonic = monotonic
        self._challenges = Challenges()
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="enrol")
        self.app = Starlette(
            routes=[
                Route(CHALLENGE_PATH, self._challenge, methods=["GET"]),
                Route(ASK_PATH, self._ask, methods=["POST"]),
                Route(REPORT_PATH, self._report, methods=["POST"]),
                Route(CODE_PATH + "{code}", self._page, methods=["GET"]),
            ]
        )

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _challenge(self, request: Request) -> Response:
        if not self._allows(request):
            return _refused(_No(EnrolFault.BUSY))
        now = self._now()
        return _json(Challenge(challenge=self._challenges.new(now), now=now))

    async def _ask(self, request: Request) -> Response:
        try:
            key, ask = await self._message(request, EnrolAsk)
            host = await self._blocking(lambda: self._decided(key, ask, _peer(request)))
            if host.state is HostState.WAITING:
                return _json(Waiting(code=host.code, again_s=_ASK_AGAIN_S), HTTPStatus.ACCEPTED)
            return _json(await self._blocking(lambda: self._answer(host)))
        except _No as error:
            log.info("enrol.refused", extra={"fault": error.refusal.fault.value, "peer": _peer(request)})
            return _refused(error)

    async def _report(self, request: Request) -> Response:
        try:
            key, report = await self._message(request, HostReport)
            await self._blocking(lambda: self._kept(key, report, _peer(request)))
        except _No as error:
            return _refused(error)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _page(self, request: Request) -> Response:
        """For a telephone: no more than who looks at the host's screen sees there."""
        if not self._allows(request):
            return _refused(_No(EnrolFault.BUSY))
        code = str(request.path_params["code"])[:16].upper()
        try:
            host = await self._blocking(lambda: self._store.by_code(code))
        except _No as error:
            return _refused(error)
        if host is None:
            return PlainTextResponse(f"No host has the code {code}.\n" if code.isascii() else "No such code.\n", 404)
        return PlainTextResponse(_page_text(host))

    def _decided(self, key: str, ask: EnrolAsk, peer: str) -> HostRecord:
        if ask.mode is FirstBootMode.POOL_WORKER and (ask.payout is None or ask.nickname is None):
            raise _No(EnrolFault.NO_ANSWERS)
        before = self._now()
        try:
            host = self._store.asked(key, ask, peer, before)
        except NotLetIn as error:
            raise _No(error.fault) from error
        except LivefleetError as error:
            raise _not_ready(error) from error
        if host.enrolled_at == before:
            told = {"host": host.name, "as": str(host.template), "token": host.token_id, "peer": peer}
            log.info("enrol.let_in", extra=told)
        return host

    def _answer(self, host: HostRecord) -> SpecModel:
        try:
            return self._slices.answer(host)
        except LivefleetError as error:
            raise _not_ready(error, host.name) from error

    def _kept(self, key: str, report: HostReport, peer: str) -> None:
        try:
            self._store.reported(key, report, peer, self._now())
        except NotLetIn as error:
            raise _No(error.fault) from error
        except LivefleetError as error:
            raise _not_ready(error) from error

    async def _message(self, request: Request, model: type[_M]) -> tuple[str, _M]:
        """Who sends, and what; nothing of the body is parsed before its signature is good."""
        if not self._allows(request):
            raise _No(EnrolFault.BUSY)
        body = await _body(request)
        headers = request.headers
        key, challenge = headers.get(KEY_HEADER, "").lower(), headers.get(CHALLENGE_HEADER, "")
        is_key = len(key) == _KEY_DIGITS
        signed = is_key and is_signed(key, headers.get(SIGNATURE_HEADER, ""), request.url.path, challenge, body)
        if not signed or not self._challenges.spend(challenge, self._now()):
            raise _No(EnrolFault.BAD_SIGNATURE)
        try:
            return key, model.model_validate_json(body)
        except ValidationError as error:
            what = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in what["loc"])
            raise _No(EnrolFault.BAD_REQUEST, f"{where or 'the request'}: {what['msg']}"[:500]) from error

    def _allows(self, request: Request) -> bool:
        return self._rate.allows(_peer(request), self._monotonic())

    async def _blocking(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


async def _body(request: Request) -> bytes:
    chunks, size = [], 0
    try:
        async with asyncio.timeout(_BODY_S):
            async for chunk in request.stream():
                chunks.append(chunk)
                size += len(chunk)
                if size > LARGEST_BODY:
                    raise _No(EnrolFault.BAD_REQUEST, f"a request has {LARGEST_BODY} bytes at most")
    except (TimeoutError, ClientDisconnect) as error:
        raise _No(EnrolFault.BAD_REQUEST, f"the request did not come within {_BODY_S:g} s") from error
    return b"".join(chunks)


def _not_ready(error: LivefleetError, host: str | None = None) -> _No:
    log.error("enrol.not_ready", extra={"host": host, "error": str(error)})
    return _No(EnrolFault.NOT_READY if isinstance(error, BadInput) else EnrolFault.BUSY)


def _page_text(host: HostRecord) -> str:
    match host.state:
        case HostState.WAITING:
            return f"This host waits. The operator runs:\n\n  livefleet enrol approve {host.code}\n"
        case HostState.ENROLLED:
            said = "has not reported yet" if host.report is None else "ready" if host.report.ready else "not ready"
            return f"This host is enrolled as {host.name}; {said}.\n"
        case HostState.REJECTED | HostState.REPLACED:
            return f"This host is {host.state}.\n"


def _peer(request: Request) -> str:
    return request.client.host if request.client is not None else "unknown"


def _json(message: SpecModel, status: int = HTTPStatus.OK) -> Response:
    return Response(message.model_dump_json(), status, media_type="application/json", headers=_HEADERS)


_HEADERS: Final = {"cache-control": "no-store"}


def _refused(error: _No) -> Response:
    return _json(error.refusal, _STATUS.get(error.refusal.fault, HTTPStatus.FORBIDDEN))
