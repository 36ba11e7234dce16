"""How files of a bundle come here: over HTTP, or from a folder. Both within a time of their own."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import httpx
from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError
from tuf.ngclient import FetcherInterface

__all__ = ["FolderFetcher", "HttpFetcher", "fetcher_of"]

_CHUNK: Final = 1 << 16
_NOT_FOUND: Final = 404  # what a fetcher must say of a file that is not there: so the end of newer roots is found


def fetcher_of(url: str, stopped: threading.Event) -> FetcherInterface:
    """The one that fits the bundle's URL; `stopped` ends what it does."""
    return FolderFetcher() if urlsplit(url).scheme == "file" else HttpFetcher(stopped)


class HttpFetcher(FetcherInterface):
    """Over HTTP. `file_s` bounds each file as a whole, so that a peer which trickles cannot hold the thread.

    Once `stopped` is set, what is under way ends within `idle_s`.
    """

    def __init__(self, stopped: threading.Event, *, file_s: float = 30.0, idle_s: float = 5.0) -> None:
        self._stopped = stopped
        self._file_s = file_s
        self._idle_s = idle_s

    def _fetch(self, url: str) -> Iterator[bytes]:
        if self._stopped.is_set():
            raise DownloadError("the node stops")
        try:
            yield from self._chunks(url, time.monotonic() + self._file_s)
        except httpx.HTTPError as error:
            raise DownloadError(str(error) or type(error).__name__) from error

    def _chunks(self, url: str, until: float) -> Iterator[bytes]:
        with (
            httpx.Client(timeout=self._idle_s, follow_redirects=False) as client,
            client.stream("GET", url, headers={"accept-encoding": "identity"}) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise DownloadHTTPError(f"{url} answered {answer.status_code}", answer.status_code)
            for chunk in answer.iter_raw():  # as it comes: with a size it would wait for that much
                if self._stopped.is_set() or time.monotonic() > until:
                    raise SlowRetrievalError(f"{url} took more than {self._file_s:g} s")
                yield chunk


class FolderFetcher(FetcherInterface):
    """From a folder: a mounted share, or a stick."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = Path(unquote(urlsplit(url).path))
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk
        except FileNotFoundError as error:
            raise DownloadHTTPError(f"{path} is not there", _NOT_FOUND) from error
        except OSError as error:
            raise DownloadError(f"{path}: {error.strerror}") from error
