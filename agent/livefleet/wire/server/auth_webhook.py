"""Asks the operator's webhook which gateways are served, and at which price.

Source: go-livepeer server/rpc.go authenticateBroadcaster: POST {"id": address}; 200 is a yes.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Self

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from livefleet.kernel import ZERO_ADDRESS, Address, BadInput, Clock, Refused

__all__ = ["WEBHOOK_WAIT_S", "AuthWebhook"]

log = logging.getLogger(__name__)

WEBHOOK_WAIT_S = 0.3
"""How long discovery waits for an answer: gateways turn to faster nodes after 0.5 s."""

_GIVE_UP_S = 5.0
_YES_ASKED_AGAIN_S = 60.0
_NO_ASKED_AGAIN_S = 5.0
_YES_HOLDS_S = 1800.0  # the reference's, for prices
_MAX_BODY = 65_536  # bytes
_MAX_TEXT = 1024  # bytes of a refusal; it travels in a trailer
_MAX_KNOWN = 4096  # gateways; anybody can make addresses
_MAX_QUESTIONS = 32  # at once
_SILENT = "the webhook does not answer"
_MAX_INT64 = 2**63 - 1
_MAX_PORT = 65_535


class _Price(BaseModel):
    model_config = ConfigDict(frozen=True)

    price_per_unit: int = Field(default=0, alias="pricePerUnit", ge=0, le=_MAX_INT64)
    pixels_per_unit: int = Field(alias="pixelsPerUnit", gt=0, le=_MAX_INT64)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)

    price_info: _Price | None = Field(default=None, alias="priceInfo")


@dataclass(frozen=True, slots=True)
class _Verdict:
    at: float  # monotonic seconds
    refusal: str | None = None  # None: it is served
    price: Fraction | None = None  # wei per pixel


class AuthWebhook:
    """The webhook's word on gateways; an async context manager that owns its connections and questions.

    A yes is believed for a minute, and for half an hour while the webhook is silent; a no for five seconds. A question
    is waited for `wait_s` and goes on after that, so that a slow answer is there when the gateway comes again.
    The URL may hold a secret: it is neither logged nor told. `took` hears how many milliseconds each answer took.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        took: Callable[[float], None],
        wait_s: float = WEBHOOK_WAIT_S,
        give_up_s: float = _GIVE_UP_S,
    ) -> None:
        try:
            self._url = httpx.URL(url)
        except httpx.InvalidURL:
            raise BadInput("orchestrator.auth_webhook: not a URL") from None  # its text would show the URL
        is_usable = self._url.scheme in {"http", "https"} and self._url.host and (self._url.port or 1) <= _MAX_PORT
        if not is_usable:
            raise BadInput("orchestrator.auth_webhook: not an http or https URL")
        self._clock = clock
        self._took = took
        self._wait_s = wait_s
        self._give_up_s = give_up_s
        self._yes: OrderedDict[Address, _Verdict] = OrderedDict()
        self._no: OrderedDict[Address, _Verdict] = OrderedDict()
        self._questions: dict[Address, asyncio.Task[_Verdict | None]] = {}
        self._group = asyncio.TaskGroup()
        self._client = httpx.AsyncClient(
            timeout=give_up_s,
            limits=httpx.Limits(max_connections=_MAX_QUESTIONS, max_keepalive_connections=4, keepalive_expiry=300),
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for question in list(self._questions.values()):
            question.cancel()
        await self._group.__aexit__(None, None, None)
        await self._client.__aexit__(kind, error, trace)

    async def admit(self, gateway: Address | None) -> None:
        """Return when the gateway is served. Raises Refused(`authentication failed: ...`)."""
        who = gateway or ZERO_ADDRESS
        verdict = self._recent(who) or await self._asked(who) or self._yes_of(who)
        if verdict is None:
            raise Refused(f"authentication failed: {_SILENT}")
        if verdict.refusal is not None:
            raise Refused(f"authentication failed: {verdict.refusal}")

    def price(self, gateway: Address | None) -> Fraction | None:
        """Wei per pixel that the webhook named for this gateway within the last half hour; None: it named none."""
        verdict = self._yes_of(gateway or ZERO_ADDRESS)
        return None if verdict is None else verdict.price

    def _recent(self, who: Address) -> _Verdict | None:
        """What needs no question."""
        for known, lasts_s in ((self._yes, _YES_ASKED_AGAIN_S), (self._no, _NO_ASKED_AGAIN_S)):
            verdict = known.get(who)
            if verdict is not None and self._clock.monotonic() - verdict.at < lasts_s:
                return verdict
        return None

    def _yes_of(self, who: Address) -> _Verdict | None:
        verdict = self._yes.get(who)
        if verdict is None or self._clock.monotonic() - verdict.at >= _YES_HOLDS_S:
            return None
        return verdict

    async def _asked(self, who: Address) -> _Verdict | None:
        """The webhook's answer; None where there is none in time."""
        question = self._questions.get(who)
        if question is None:
            if len(self._questions) >= _MAX_QUESTIONS:
                return None
            question = self._questions[who] = self._group.create_task(self._ask(who), name="auth-webhook")
        try:
            async with asyncio.timeout(self._wait_s):
                return await asyncio.shield(question)
        except TimeoutError:
            return None

    async def _ask(self, who: Address) -> _Verdict | None:
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._give_up_s):
                status, body = await self._post(who)
        except (httpx.HTTPError, TimeoutError, UnicodeError) as error:  # the last one: a host that is no name
            log.warning("auth_webhook.silent", extra={"gateway": who, "error": type(error).__name__})
            return None
        finally:
            self._questions.pop(who, None)
        self._took((self._clock.monotonic() - began) * 1000)
        verdict = self._judged(status, body)
        yes = verdict.refusal is None
        _remember(self._yes if yes else self._no, who, verdict)
        (self._no if yes else self._yes).pop(who, None)
        return verdict

    async def _post(self, who: Address) -> tuple[int, bytes]:
        body = b""
        async with self._client.stream("POST", self._url, json={"id": who}) as response:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MAX_BODY:
                    break
            return response.status_code, body

    def _judged(self, status: int, body: bytes) -> _Verdict:
        now = self._clock.monotonic()
        if status != httpx.codes.OK:
            return _Verdict(now, body[:_MAX_TEXT].decode(errors="replace"))
        if not body:
            return _Verdict(now)
        try:
            answer = _Answer.model_validate_json(body)
        except ValidationError as error:
            log.warning("auth_webhook.unreadable", extra={"error": error.errors(include_input=False)[0]["msg"]})
            return _Verdict(now, "the webhook's answer cannot be read")
        told = answer.price_info
        return _Verdict(now, price=None if told is None else Fraction(told.price_per_unit, told.pixels_per_unit))


def _remember(known: OrderedDict[Address, _Verdict], who: Address, verdict: _Verdict) -> None:
    known[who] = verdict
    known.move_to_end(who)
    if len(known) > _MAX_KNOWN:
        known.popitem(last=False)
