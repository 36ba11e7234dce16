"""JSON-RPC over HTTP to one endpoint: web3.py's encoding, one aiohttp session, and every failure as `Unusable`."""

import os
import re
import ssl
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

from livefleet.chain.errors import NodeError, Reverted
from livefleet.chain.rpc.answers import Behind, Busy, Declined, Unusable, result_of
from livefleet.chain.stack import aiohttp, web3
from livefleet.kernel import Clock

__all__ = ["Asked", "Transport", "without_keys"]

Asked = tuple[str, Sequence[Any]]
"""A method and its parameters."""

_CONNECT_S = 5.0
_KEPT_OPEN_S = 90.0  # longer than an idle watcher waits between its looks
_URL = re.compile(r"((?:https?|wss?)://)(?:[^\s/@]*@)?([^\s/?#'\")]+)[^\s'\")]*")
_NO_BATCHES = re.compile(
    r"not (support|allow|taken|enabled|accept)|no batch|disabled|unsupported|invalid request", re.IGNORECASE
)


def without_keys(text: str) -> str:
    """`text` with each URL in it cut after its host: hosted endpoints carry their keys in what follows, or before."""
    return _URL.sub(r"\1\2", text)


def _why(error: OSError) -> str:
    """Why a connection was not made, in the system's words and without the library's."""
    if isinstance(error, ssl.SSLError) or not error.errno or error.errno < 0:  # below 0: of a name's look-up
        return error.strerror or str(error)
    return os.strerror(error.errno)


class Transport:
    """One endpoint's HTTP. `note` hears of each request that is sent; whoever made it closes it."""

    def __init__(self, url: str, *, timeout_s: float, clock: Clock, note: Callable[[str], None]) -> None:
        self._url = url
        self._clock = clock
        self._note = note
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(timeout_s, _CONNECT_S))
        self._codec = web3.AsyncHTTPProvider(url, exception_retry_configuration=None)
        self._session: aiohttp.ClientSession | None = None
        self._batch_limit = 1_000
        """Requests that the endpoint takes at once, as far as known."""

    async def close(self) -> None:
        """End its connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def exchange(self, asked: Sequence[Asked]) -> list[Any]:
        """The answers as they came, in the order of the questions. Raises Unusable."""
        if len(asked) == 1:
            return [await self._one(asked[0])]
        answers: list[Any] = []
        while len(answers) < len(asked):
            part = asked[len(answers) : len(answers) + self._batch_limit]
            if len(part) == 1:
                answers.append(await self._one(part[0]))
                continue
            found = await self._several(part)
            if isinstance(found, list):
                answers += found
            else:
                self._batch_limit = _shorter(found, len(part))
        return answers

    async def _one(self, asked: Asked) -> Any:
        self._note(asked[0])
        return await self._post(self._codec.encode_rpc_request(web3.types.RPCEndpoint(asked[0]), list(asked[1])))

    async def _several(self, asked: Sequence[Asked]) -> Any:
        for method, _ in asked:
            self._note(method)
        found = await self._post(
            self._codec.encode_batch_rpc_request(
                [(web3.types.RPCEndpoint(method), list(params)) for method, params in asked]
            )
        )
        if not isinstance(found, list):
            return found
        if len(found) != len(asked) or not all(isinstance(answer, dict) for answer in found):
            raise Unusable(f"{len(found)} answers to {len(asked)} requests")
        try:
            return sorted(found, key=lambda answer: int(answer["id"]))
        except (KeyError, TypeError, ValueError) as error:
            raise Unusable("answers to a batch without the numbers of its requests") from error

    async def _post(self, body: bytes) -> Any:
        for is_last in (False, True):
            try:
                return await self._post_once(body)
            except aiohttp.ServerDisconnectedError as error:
                if is_last:  # the first time, it was a connection that the server had given up meanwhile
                    raise Unusable("it closes connections without an answer") from error
            except TimeoutError as error:
                raise Unusable(f"no answer in {self._timeout.total:g} s") from error
            except aiohttp.ClientConnectorError as error:
                raise Unusable(without_keys(f"cannot be reached: {_why(error.os_error)}")) from error
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise Unusable(without_keys(f"{type(error).__name__} {error}".strip())) from error
        raise AssertionError  # the loop returns or raises

    async def _post_once(self, body: bytes) -> Any:
        if self._session is None:
            connector = aiohttp.TCPConnector(keepalive_timeout=_KEPT_OPEN_S)
            self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout)
        headers = {"Content-Type": "application/json"}
        async with self._session.post(self._url, data=body, headers=headers) as response:
            raw = await response.read()
            if response.status == 429:
                raise Busy("HTTP 429, too many requests", retry_after_s=self._wish(response.headers.get("Retry-After")))
            if response.status < 400:
                return self._codec.decode_rpc_response(raw)
            try:
                answer = self._codec.decode_rpc_response(raw)
            except ValueError:
                answer = None
            if isinstance(answer, list) or (isinstance(answer, dict) and "error" in answer):
                return answer  # some say in this way what is wrong with the request
            wish = self._wish(response.headers.get("Retry-After"))
            raise Unusable(f"HTTP {response.status} {response.reason or ''}".strip(), retry_after_s=wish)

    def _wish(self, text: str | None) -> float | None:
        """Seconds in a Retry-After, which are a number or a date."""
        if not text:
            return None
        try:
            return max(0.0, float(text))
        except ValueError:
            pass
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - self._clock.now())
        except ValueError:
            return None


def _shorter(refusal: Any, taken: int) -> int:
    """How long the next batch may be after one of `taken` was refused as a whole. Raises Unusable."""
    try:
        result_of(refusal, "batch")
    except (NodeError, Reverted) as error:
        return 1 if _NO_BATCHES.search(str(error)) else max(1, taken // 2)
    except (Behind, Declined) as error:
        raise Unusable(str(error)) from error
    raise Unusable("one answer to several requests")
