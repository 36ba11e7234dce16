"""The admin endpoints: /healthz, /readyz, /status and /metrics, on an address of their own."""

import asyncio
import html
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from livefleet.health.listening import Listener
from livefleet.health.metrics import Collected, exposition
from livefleet.health.status import NodeStatus
from livefleet.kernel import Status

__all__ = ["AdminServer"]


class AdminServer:
    """Serves what the node says about itself. Loopback unless declared otherwise; nothing here changes anything."""

    def __init__(
        self,
        listen: str,
        status: Callable[[], NodeStatus],
        registry: CollectorRegistry,
        *,
        further: Sequence[BaseRoute] = (),
    ) -> None:
        self._listen = listen
        self._status = status
        self._registry = registry
        self._further = further
        self._listener: Listener | None = None
        self.address = ""

    async def __aenter__(self) -> Self:
        routes = [
            Route("/", self._page),
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/status", self._status_json),
            Route("/metrics", self._metrics),
            *self._further,
        ]
        self._listener = Listener(self._listen, routes, what="the admin address")
        await self._listener.__aenter__()
        self.address = self._listener.address
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._listener is not None
        await self._listener.__aexit__(kind, error, trace)

    async def _healthz(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, request: Request) -> Response:
        status = self._status()
        body = {"ready": status.ready, "blocking": [_condition(c) for c in status.blocking]}
        return JSONResponse(body, status_code=200 if status.ready else 503)

    async def _status_json(self, request: Request) -> Response:
        return JSONResponse(_status_body(self._status()))

    async def _metrics(self, request: Request) -> Response:
        # State is read here, on its own loop; turning thousands of numbers into text needs no place on it.
        text = await asyncio.to_thread(exposition, Collected(self._registry))
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    async def _page(self, request: Request) -> Response:
        return HTMLResponse(_page(self._status()))


def _condition(condition: Any) -> dict[str, Any]:
    return {
        "name": condition.name,
        "subject": condition.subject,
        "status": condition.status.value,
        "reason": condition.reason,
        "message": condition.message,
        "advice": condition.advice,
        "since": condition.since,
        "gates_ready": condition.gates_ready,
    }


def _status_body(status: NodeStatus) -> dict[str, Any]:
    return {
        "version": status.version,
        "fleet": status.fleet,
        "name": status.name,
        "role": status.role,
        "network": status.network,
        "digest": status.digest,
        "release": status.release,
        "started_at": status.started_at,
        "ready": status.ready,
        "conditions": [_condition(c) for c in status.conditions],
        **status.parts,
    }


def _page(status: NodeStatus) -> str:
    said = {c: "; ".join(filter(None, (c.message, c.advice))) for c in status.conditions}
    rows = "".join(
        f"<tr class={c.status.value}><td>{html.escape(c.name)}</td><td>{html.escape(c.subject)}</td>"
        f"<td>{c.status.value}</td><td>{html.escape(c.reason)}</td><td>{html.escape(said[c])}</td></tr>"
        for c in sorted(status.conditions, key=lambda c: (c.status is Status.TRUE, c.name))
    )
    parts = "".join(f"<h2>{html.escape(name)}</h2>{_table(part)}" for name, part in status.parts.items())
    state = "ready" if status.ready else "not ready"
    return (
        "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{html.escape(status.name)}: {state}</title>"
        "<style>body{font:15px/1.4 system-ui;margin:2rem auto;max-width:64rem;padding:0 1rem}"
        "table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ccc;padding:.3rem .5rem;"
        "text-align:left;vertical-align:top}.false{background:#fdd}.unknown{background:#ffd}"
        "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}.false{background:#511}"
        ".unknown{background:#440}}</style>"
        f"<h1>{html.escape(status.name)} <small>{html.escape(status.role)}, {state}, "
        f"livefleet {html.escape(status.version)}</small></h1>"
        "<table><tr><th>condition<th>subject<th>status<th>reason<th>message</tr>"
        f"{rows}</table>{parts}<p><a href=/status>status as JSON</a> · <a href=/metrics>metrics</a></p>"
    )


def _table(part: Any) -> str:
    if isinstance(part, Mapping):
        rows = "".join(f"<tr><td>{html.escape(str(k))}</td><td>{_cell(v)}</td></tr>" for k, v in part.items())
        return f"<table>{rows}</table>"
    return _cell(part)


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return _table(value)
    if isinstance(value, list | tuple):
        return "<br>".join(_cell(item) for item in value) or "none"
    return html.escape(str(value))
