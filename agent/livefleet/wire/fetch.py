"""Fetching a segment that is given by its URL."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

import httpx

from livefleet.kernel import OutsideWorld

__all__ = ["FETCH_TIMEOUT_S", "fetch"]

FETCH_TIMEOUT_S = 4.0
"""The network's limit for any one file."""


async def fetch(
    client: httpx.AsyncClient,
    url: str,
    *,
    limit: int,
    timeout_s: float = FETCH_TIMEOUT_S,
    took: Callable[[int], None] | None = None,
) -> bytes:
    """The body at `url`. Raises OutsideWorld; for a status but 200 its text is the status line.

    `took` hears of each part's size before it is kept; what it raises ends the fetch.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s), client.stream("GET", url) as response:
            if response.status_code != HTTPStatus.OK:
                raise OutsideWorld(
                    f"{response.status_code} {response.reason_phrase or HTTPStatus(response.status_code).phrase}"
                )
            async for chunk in response.aiter_bytes():
                size += len(chunk)
                if size > limit:
                    raise OutsideWorld(f"more than {limit} bytes")
                if took is not None:
                    took(len(chunk))
                chunks.append(chunk)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise OutsideWorld(f"cannot fetch the source: {type(error).__name__}") from error
    return b"".join(chunks)
