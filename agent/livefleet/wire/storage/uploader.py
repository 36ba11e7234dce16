"""Puts files into a store by its POST policy."""

import asyncio
from http import HTTPStatus

import httpx

from livefleet.wire.storage.errors import UploadFailed
from livefleet.wire.storage.models import StoreGrant

__all__ = ["Uploader"]

_ATTEMPTS = 3
_FIRST_WAIT_S = 0.1
_CONNECT_S = 2.0
_ANSWER = 2048  # bytes of a store's answer that are read: enough to say what is wrong
_TAKEN = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT})
_TRY_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class Uploader:
    """Uploads through `client`, which the caller owns; it must check certificates and follow no redirects."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def upload(self, grant: StoreGrant, name: str, data: bytes, media_type: str, *, timeout_s: float) -> str:
        """The file's URL. Tried again while that can help and `timeout_s` lasts. Raises OutsideWorld."""
        reason = "no answer"
        try:
            async with asyncio.timeout(timeout_s):
                for attempt in range(_ATTEMPTS):
                    if attempt:
                        await asyncio.sleep(_FIRST_WAIT_S * 2**attempt)
                    try:
                        status, reason = await self._post(grant, name, data, media_type)
                    except (httpx.HTTPError, httpx.InvalidURL) as error:
                        reason = f"{type(error).__name__}: {error}".rstrip(": ")
                        continue
                    if status in _TAKEN:
                        return grant.url(name)
                    if status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _TRY_AGAIN:
                        break
        except TimeoutError:
            reason = f"not done in {timeout_s:.1f} s ({reason})"
        raise UploadFailed(grant.host, reason)

    async def _post(self, grant: StoreGrant, name: str, data: bytes, media_type: str) -> tuple[int, str]:
        files = {"file": (name.rpartition("/")[2], data, media_type)}
        timeout = httpx.Timeout(None, connect=_CONNECT_S)
        async with self._client.stream(
            "POST", grant.host, data=grant.form(name, media_type), files=files, timeout=timeout
        ) as response:
            if response.status_code in _TAKEN:
                return response.status_code, ""
            text = b""
            async for chunk in response.aiter_raw():
                text += chunk
                if len(text) >= _ANSWER:
                    break
            return response.status_code, f"{response.status_code} {text[:_ANSWER].decode(errors='replace')}"
