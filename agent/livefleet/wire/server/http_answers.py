"""Bodies in, plain texts out."""

from starlette.requests import Request
from starlette.responses import Response

from livefleet.kernel import LivefleetError, Refused
from livefleet.wire.server.source_memory import Arriving

__all__ = ["INTERNAL_ERROR", "MAX_BODY", "BodyTooLarge", "internal_error", "plain", "read_body", "refusal"]

MAX_BODY = 300_000_000
"""Bytes: 300 s of 8 Mbit/s."""

INTERNAL_ERROR = "Internal Server Error"
"""What peers hear of our own trouble."""


class BodyTooLarge(LivefleetError):
    """More bytes came in than are taken."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"body of more than {limit} bytes")


def plain(text: str, status: int) -> Response:
    """An answer as Go's http.Error writes it; gateways match the text, so never JSON."""
    return Response(
        text + "\n",
        status_code=status,
        media_type="text/plain; charset=utf-8",
        headers={"X-Content-Type-Options": "nosniff"},
    )


def refusal(error: Refused) -> Response:
    """The answer that a refusal stands for."""
    return plain(error.text, error.status)


def internal_error() -> Response:
    """500, without telling why."""
    return plain(INTERNAL_ERROR, 500)


async def read_body(request: Request, limit: int = MAX_BODY, *, arriving: Arriving | None = None) -> bytes:
    """The whole body, on the account of `arriving`.

    Raises BodyTooLarge, at once for an announced length; ClientDisconnect when it ends early; Refused
    (`OrchestratorBusy`) when all sources together are too many bytes.
    """
    if int(request.headers.get("content-length", "0")) > limit:  # a number, or nginx had refused it
        raise BodyTooLarge(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge(limit)
        if arriving is None:
            chunks.append(chunk)
        else:
            arriving.take(chunk)
    return b"".join(chunks) if arriving is None else arriving.whole()
