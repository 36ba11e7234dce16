"""Passes on what Alertmanager tells people: puts secrets in, and signs.

Alertmanager writes the messages, groups and tries again; here is only what it cannot do: Debian's 0.25 reads neither
Discord's URL nor Telegram's token from a file, and no version signs. What the other side says decides the answer:

    2xx                               the same, with its body (Telegram's is read)
    429, 5xx, no answer in time       503: Alertmanager tries again
    any other 4xx, a redirect         that, or 502: Alertmanager counts a failure, and tries with its next round
    a secret that cannot be read      500: it tries again
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self, assert_never

import httpx
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from livefleet.health.listening import Listener
from livefleet.kernel import BadInput, Clock, Condition, ConditionBoard, Refused, Status, Transient
from livefleet.monitoring.signature import signature_headers
from livefleet.spec.notify import (
    DiscordReceiver,
    NotifySettings,
    PagerDutyReceiver,
    TelegramReceiver,
    WebhookReceiver,
)

__all__ = ["ALERTS_DELIVERED", "AlertRelay"]

log = logging.getLogger(__name__)

ALERTS_DELIVERED: Final = "AlertsDelivered"

_MOST_BODY: Final = 1 << 20  # bytes; a message of Alertmanager has some thousand
_MOST_ANSWER: Final = 1 << 16
_MOST_AT_ONCE: Final = 8
_GIVE_UP_S: Final = 10.0
_AGAIN: Final = 429
_BEAT: Final = "heartbeat"


@dataclass(frozen=True, slots=True)
class _Call:
    """What is sent on."""

    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class AlertRelay:
    """The notifications' way out. Listens on loopback while it is entered.

    `secrets`: the files with secrets by name, read anew each time. A condition says for each receiver whether the last
    message reached it.
    """

    def __init__(
        self, settings: NotifySettings, secrets: Mapping[str, Path], clock: Clock, board: ConditionBoard
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._clock = clock
        self._board = board
        self._places = asyncio.Semaphore(_MOST_AT_ONCE)
        self._client: httpx.AsyncClient | None = None
        routes = [
            Route("/heartbeat", self._beat, methods=["POST"]),
            Route("/telegram/{name}/bot{token}/{method}", self._tell, methods=["POST"]),
            Route("/{kind}/{name}", self._tell, methods=["POST"]),
        ]
        self._listener = Listener(settings.relay_listen, routes, what="the address for Alertmanager's notifications")

    @property
    def address(self) -> str:
        """Where it listens, `host:port`."""
        return self._listener.address

    async def __aenter__(self) -> Self:
        await self._listener.__aenter__()
        self._client = httpx.AsyncClient(timeout=_GIVE_UP_S, follow_redirects=False, trust_env=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._listener.__aexit__(None, None, None)
        assert self._client is not None
        await self._client.aclose()
        for name in (*self._settings.by_name, _BEAT):
            self._board.withdraw(ALERTS_DELIVERED, name)

    async def _beat(self, request: Request) -> Response:
        settings = self._settings.heartbeat
        if settings is None:
            return PlainTextResponse("no heartbeat is declared\n", status_code=404)
        return await self._pass_on(_BEAT, request, lambda body: _Call(self._url(settings.url), body))

    async def _tell(self, request: Request) -> Response:
        name = request.path_params["name"]
        receiver = self._settings.by_name.get(name)
        if receiver is None or request.path_params.get("kind", "telegram") != receiver.kind:
            return PlainTextResponse("no such receiver is declared\n", status_code=404)

        def call(body: bytes) -> _Call:
            match receiver:
                case DiscordReceiver():
                    return _Call(self._secret(receiver.url), body)
                case TelegramReceiver():
                    method = request.path_params.get("method", "sendMessage")
                    return _Call(f"{receiver.api}/bot{self._secret(receiver.token)}/{method}", body)
                case PagerDutyReceiver():
                    return _Call(receiver.api, _with_key(body, self._secret(receiver.key)))
                case WebhookReceiver():
                    secret = None if receiver.secret is None else self._secret(receiver.secret).encode()
                    signed = {} if secret is None else signature_headers(secret, body, self._clock.now())
                    return _Call(self._url(receiver.url), body, signed)
                case _:
                    assert_never(receiver)

        return await self._pass_on(name, request, call)

    async def _pass_on(self, name: str, request: Request, call: Callable[[bytes], _Call]) -> Response:
        if self._places.locked():
            return PlainTextResponse("too many notifications at once\n", status_code=503)
        async with self._places:
            try:
                answer = await self._send(call(await _body_of(request)), request)
            except BadInput as error:
                return self._failed(name, "NotSent", str(error), 500)
            except Refused as error:
                return self._failed(name, "Refused", str(error), error.status)
            except Transient as error:
                return self._failed(name, "NotReached", str(error), 503)
        self._board.report(_condition(name, Status.TRUE, "Delivered", "the last message was taken"))
        log.debug("alert.passed_on", extra={"receiver": name})
        return answer

    async def _send(self, call: _Call, request: Request) -> Response:
        assert self._client is not None
        kind = request.headers.get("content-type", "application/json")
        headers = {"Content-Type": kind, "User-Agent": "livefleet"} | call.headers
        try:
            # The words of httpx's errors may have the address, which is a secret.
            async with (
                asyncio.timeout(_GIVE_UP_S),
                self._client.stream("POST", call.url, content=call.body, headers=headers) as answer,
            ):
                body = await _first_bytes(answer)
        except TimeoutError as error:
            raise Transient(f"no answer within {_GIVE_UP_S:g} s") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise BadInput("the secret holds no URL that can be asked") from error
        except httpx.HTTPError as error:
            raise Transient(f"not reached: {type(error).__name__}") from error
        if answer.status_code == _AGAIN or answer.is_server_error:
            raise Transient(f"answered {answer.status_code}")
        if not answer.is_success:
            status = answer.status_code if answer.is_client_error else 502
            raise Refused(f"answered {answer.status_code}", status=status)
        return Response(body, status_code=answer.status_code, media_type=answer.headers.get("content-type"))

    def _failed(self, name: str, reason: str, text: str, status: int) -> Response:
        said = f"the last message to `{name}` was not taken: {text}; check its address and secret"
        self._board.report(_condition(name, Status.FALSE, reason, said))
        log.warning("alert.not_passed_on", extra={"receiver": name, "error": text})
        return PlainTextResponse(f"{text}\n", status_code=status)

    def _url(self, url: str) -> str:
        return url if "://" in url else self._secret(url)

    def _secret(self, name: str) -> str:
        path = self._secrets.get(name)
        if path is None:
            raise BadInput(f"the secret `{name}` is not on this host")
        try:
            value = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"the secret `{name}` cannot be read: {type(error).__name__}") from error
        if not value:
            raise BadInput(f"the secret `{name}` is empty")
        return value


class _TooLarge(Refused):
    """More than any message has."""

    def __init__(self) -> None:
        super().__init__(f"a message of more than {_MOST_BODY} bytes", status=413)


async def _body_of(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BODY:
            raise _TooLarge
    return bytes(body)


async def _first_bytes(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > _MOST_ANSWER:
            break
    return bytes(body[:_MOST_ANSWER])


def _with_key(body: bytes, key: str) -> bytes:
    try:
        event = json.loads(body)
    except ValueError as error:
        raise Refused("not JSON", status=400) from error
    if not isinstance(event, dict):
        raise Refused("not an event", status=400)
    return json.dumps(event | {"routing_key": key}).encode()


def _condition(name: str, status: Status, reason: str, text: str) -> Condition:
    return Condition(ALERTS_DELIVERED, status, reason, text, subject=name, gates_ready=False)
