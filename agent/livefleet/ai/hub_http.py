"""A hub, a mirror, or a site's cache that is reached by HTTP."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, NoReturn, Self

import httpx

from livefleet.ai.errors import HubAway, HubRefused, WeightsMissing
from livefleet.ai.hub import HubFile, Listing, Opened, file_path, listing_path, parse_listing

__all__ = ["HttpSource"]

_CHUNK: Final = 1 << 20
_MAX_LISTING: Final = 64 << 20
_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class HttpSource:
    """Asks as `token` where one is given; a redirect to another host is followed without it. For many threads."""

    def __init__(self, url: str, *, token: str | None = None, connect_s: float = 10.0, silence_s: float = 20.0) -> None:
        self.name = url.rstrip("/")
        self._headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._has_token = token is not None
        self._client = httpx.Client(
            follow_redirects=True,
            timeout=httpx.Timeout(silence_s, connect=connect_s),
            headers={"User-Agent": "livefleet"},
            limits=httpx.Limits(max_connections=64),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def listing(self, repository: str, revision: str) -> Listing:
        """What the hub says of a revision. Raises WeightsMissing, HubRefused, HubAway, WeightsBroken."""
        what = f"{repository} at {revision}"
        data = bytearray()
        with self._answer(f"{listing_path(repository, revision)}?blobs=true", what, {}) as answer:
            for chunk in answer.iter_bytes(_CHUNK):
                data += chunk
                if len(data) > _MAX_LISTING:
                    raise HubAway(f"{self.name}: the answer for {what} does not end")
        return parse_listing(bytes(data), name=f"{self.name}, {what}")

    @contextmanager
    def open(self, repository: str, commit: str, file: HubFile, start: int) -> Iterator[Opened]:
        """Read a file from byte `start` on, or from its begin where the server cannot."""
        wanted = {"Range": f"bytes={start}-"} if start else {}
        with self._answer(file_path(repository, commit, file.path), f"{repository}/{file.path}", wanted) as answer:
            yield Opened(_start(answer, file), self._chunks(answer, file))

    def _chunks(self, answer: httpx.Response, file: HubFile) -> Iterator[bytes]:
        try:
            yield from answer.iter_raw()  # as they come: what a chunk gathers would be lost with the connection
        except httpx.HTTPError as error:
            raise HubAway(f"{self.name} stopped in the midst of {file.path}: {_words(error)}") from error

    @contextmanager
    def _answer(self, path: str, what: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """A good answer. Raises for every other."""
        try:
            request = self._client.build_request("GET", f"{self.name}/{path}", headers=self._headers | headers)
            answer = self._client.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise HubAway(f"{self.name} does not answer: {_words(error)}") from error
        try:
            if not answer.is_success:
                self._refuse(answer, what)
            yield answer
        finally:
            answer.close()

    def _refuse(self, answer: httpx.Response, what: str) -> NoReturn:
        said = answer.headers.get("X-Error-Message", "")[:300]
        status = f"{self.name}: {what}: status {answer.status_code}{f', {said}' if said else ''}"
        if answer.status_code in {404, 410} or answer.headers.get("X-Error-Code") in {
            "RevisionNotFound", "EntryNotFound"
        }:  # fmt: skip
            raise WeightsMissing(f"{status}; look whether the id and the revision are spelled as on the hub")
        if answer.status_code in {401, 403}:
            hint = (
                "look whether the token may read it, and agree to its licence on the hub's page"
                if self._has_token
                else "there is no such model, or it needs a login: name the token's secret in `duties.ai.weights.token`"
            )
            raise HubRefused(f"{status}; {hint}")
        if answer.status_code == 416:
            raise HubAway(f"{self.name}: {what}: has fewer bytes than announced")
        wait = answer.headers.get("Retry-After", "")
        raise HubAway(status, retry_after_s=min(float(wait), 300.0) if wait.isdecimal() else None)


def _start(answer: httpx.Response, file: HubFile) -> int:
    if answer.status_code != 206:
        return 0
    match = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if match is None or match[2] not in {str(file.size), "*"}:
        raise HubAway(f"{file.path}: a part of something else came: {answer.headers.get('Content-Range')!r}")
    return int(match[1])


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
