"""ai-runner's answers to what goes wrong: status and words."""

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from livefleet.ai.errors import BadFields, BadUpload, Cancelled, DeadlinePassed, InferenceFailed, OutOfMemory
from livefleet.ai.kinds import Kind

__all__ = ["answer_to", "failure", "unprocessable", "wrong_token"]


def failure(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """The usual shape."""
    return JSONResponse({"detail": {"msg": message}}, status, headers=headers)


def unprocessable(faults: Iterable[Mapping[str, Any]]) -> Response:
    """FastAPI's list of what is wrong with a body's fields."""
    return JSONResponse({"detail": [{**fault, "loc": ["body", *fault["loc"]]} for fault in faults]}, 422)


def wrong_token(kind: Kind[Any]) -> Response:
    """No token, or another."""
    return failure(401, f"Invalid bearer token{kind.token_dot}", {"WWW-Authenticate": "Bearer"})


def answer_to(error: Exception, kind: Kind[Any]) -> Response:
    """To what a pipeline raised."""
    if isinstance(error, BadFields):
        # More than ai-runner says for llm: only by a 400 do gateways know that it is not our fault.
        return failure(400, f"{error}{kind.dot}")
    if kind.one_failure:
        return failure(500, kind.failed)
    match error:
        case OutOfMemory():
            return failure(500, kind.out_of_memory)
        case DeadlinePassed() | Cancelled():
            return failure(500, str(error))
        case BadUpload():
            return failure(error.status, str(error))
        case InferenceFailed():
            return failure(400, f"{error}.")
        case ValueError():
            return failure(400, kind.failed)
        case _ if "out of memory" in str(error).lower():
            return failure(500, "Out of memory.")
        case _:
            return failure(500, kind.failed)
