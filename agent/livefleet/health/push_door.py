"""A monitor's door for hosts that it cannot reach: they write metrics and logs, and can read nothing.

It stands before Prometheus and Loki, which listen on loopback alone and know no users. What they answer goes back as it
is, so that senders keep and send again what was not taken.
"""

from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from livefleet.health.bearer import TokenFile
from livefleet.health.listening import Listener, ServerTls
from livefleet.health.metrics import Reading

__all__ = ["PushDoor"]

MOST_BYTES: Final = 16 << 20
_TIMEOUT_S: Final = 30.0
_HEADERS: Final = ("content-type", "content-encoding", "user-agent", "x-prometheus-remote-write-version")
_PATHS: Final = {"/api/v1/write": "metrics", "/loki/api/v1/push": "logs"}
_ANSWER_BYTES: Final = 1000


class PushDoor:
    """An async context manager that serves; `address` says where. `behind`: `metrics` and `logs` to a base URL each."""

    def __init__(
        self, listen: str, token: TokenFile, behind: Mapping[str, str], *, tls: ServerTls | None = None
    ) -> None:
        self._token = token
        self._behind = behind
        self._answers: Counter[tuple[str, int]] = Counter()
        self._client: httpx.AsyncClient | None = None
        taken = [Route(path, self._take, methods=["POST"]) for path, kind in _PATHS.items() if kind in behind]
        self._listener = Listener(listen, [Route("/healthz", self._healthz), *taken], what="the push door", tls=tls)

    @property
    def address(self) -> str:
        """`host:port`."""
        return self._listener.address

    async def __aenter__(self) -> Self:
        await self._listener.__aenter__()
        self._client = httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._listener.__aexit__(kind, error, trace)
        if self._client is not None:
            await self._client.aclose()

    def readings(self) -> list[Reading]:
        """For /metrics."""
        text = "Requests of hosts that push, by what they were answered."
        return [
            ("livefleet_monitor_pushes_total", "counter", text, {"kind": kind, "status": str(status)}, count)
            for (kind, status), count in sorted(self._answers.items())
        ]

    async def _healthz(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _take(self, request: Request) -> Response:
        kind = _PATHS[request.url.path]
        answer = self._token.refusal(request) or await self._forward(kind, request)
        self._answers[kind, answer.status_code] += 1
        return answer

    async def _forward(self, kind: str, request: Request) -> Response:
        assert self._client is not None  # entered
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BYTES:
                    return PlainTextResponse(f"more than {MOST_BYTES} bytes\n", status_code=413)
        except ClientDisconnect:
            return PlainTextResponse("cut off\n", status_code=400)
        headers = {name: request.headers[name] for name in _HEADERS if name in request.headers}
        try:
            answer = await self._client.post(
                f"{self._behind[kind]}{request.url.path}", content=bytes(body), headers=headers
            )
        except httpx.HTTPError as error:
            text = f"what takes {kind} here does not answer: {type(error).__name__}\n"
            return PlainTextResponse(text, status_code=503, headers={"Retry-After": "10"})
        further = {"Retry-After": answer.headers["retry-after"]} if "retry-after" in answer.headers else {}
        return PlainTextResponse(answer.content[:_ANSWER_BYTES], status_code=answer.status_code, headers=further)
