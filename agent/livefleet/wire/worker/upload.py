"""Bringing a task's outcome to the orchestrator."""

from collections.abc import AsyncIterator, Mapping, Sequence
from http import HTTPStatus

import httpx

from livefleet.kernel import OutsideWorld

__all__ = ["upload"]

_TRIES = 2


async def upload(
    client: httpx.AsyncClient,
    url: str,
    *,
    task_id: int,
    headers: Mapping[str, str],
    pieces: Sequence[bytes],
    timeout_s: float,
) -> None:
    """POST the pieces as one body, once more when the connection breaks. Raises OutsideWorld when it is not taken."""
    sent = {b"TaskId": str(task_id).encode()}
    sent |= {name.encode(): value.encode() for name, value in headers.items()}  # a secret need not be ASCII
    for left in reversed(range(_TRIES)):
        try:
            response = await client.post(url, headers=sent, content=_stream(pieces), timeout=timeout_s)
        except httpx.TransportError as error:
            if not left:
                raise OutsideWorld(f"task {task_id}: upload failed: {type(error).__name__}: {error}") from error
            continue
        if response.status_code != HTTPStatus.OK:
            raise OutsideWorld(f"task {task_id}: upload refused with {response.status_code} {response.text.strip()}")
        return


async def _stream(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
