"""Bringing a task's outcome to the orchestrator."""

from collections.abc import AsyncIterator, Mapping, Sequence
from http import HTTPStatus

import httpx

from livefleet.kernel import OutsideWorld
from livefleet.wire.worker.secret import ShownSecret

__all__ = ["SecretUnknown", "upload", "upload_shown"]

_TRIES = 2


class SecretUnknown(OutsideWorld):
    """The orchestrator does not take the secret that the upload showed; of the body it wants nothing."""


async def upload(
    client: httpx.AsyncClient,
    url: str,
    *,
    task_id: int,
    headers: Mapping[str, str],
    pieces: Sequence[bytes],
    timeout_s: float,
) -> None:
    """POST the pieces as one body, once more when the connection breaks.

    Raises SecretUnknown, or OutsideWorld for any other reason why it is not taken.
    """
    sent = {b"TaskId": str(task_id).encode()}
    sent |= {name.encode(): value.encode() for name, value in headers.items()}  # a secret need not be ASCII
    for left in reversed(range(_TRIES)):
        try:
            response = await client.post(url, headers=sent, content=_stream(pieces), timeout=timeout_s)
        except httpx.TransportError as error:
            if not left:
                raise OutsideWorld(f"task {task_id}: upload failed: {type(error).__name__}: {error}") from error
            continue
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            raise SecretUnknown(f"task {task_id}: upload refused with {response.status_code} {response.text.strip()}")
        if response.status_code != HTTPStatus.OK:
            raise OutsideWorld(f"task {task_id}: upload refused with {response.status_code} {response.text.strip()}")
        return


async def upload_shown(
    secret: ShownSecret,
    client: httpx.AsyncClient,
    url: str,
    *,
    task_id: int,
    headers: Mapping[str, str],
    pieces: Sequence[bytes],
    timeout_s: float,
) -> None:
    """`upload` with the secret to show, and with the one before where the orchestrator does not know it yet."""
    while True:
        shown = secret.text
        try:
            return await upload(
                client,
                url,
                task_id=task_id,
                headers={**headers, "Credentials": shown},
                pieces=pieces,
                timeout_s=timeout_s,
            )
        except SecretUnknown:
            if not secret.was_refused(shown):
                raise


async def _stream(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
