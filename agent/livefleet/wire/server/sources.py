"""Sources that come as a URL instead of as bytes."""

from dataclasses import dataclass

import httpx

from livefleet.kernel import OutsideWorld, Refused
from livefleet.wire.fetch import fetch
from livefleet.wire.server.http_answers import MAX_BODY
from livefleet.wire.server.source_memory import Arriving
from livefleet.wire.storage import OwnStore

__all__ = ["URI_BODY", "Source", "Sources"]

URI_BODY = "application/vnd+livepeer.uri"
"""Content type of a body that is the source's URL."""


@dataclass(slots=True)
class Source:
    """A segment to be transcoded. Who is done with it drops it: a peer that hung up leaves it in frames for a while."""

    data: bytes
    url: str | None = None  # where it was fetched from
    held: Arriving | None = None  # the account of its bytes

    def drop(self) -> None:
        """Let go of the bytes."""
        self.data = b""
        if self.held is not None:
            self.held.drop()


class Sources:
    """Fetches sources. `peers` is used for whatever URL a gateway sends, so it must be careful where it connects to."""

    def __init__(self, *, peers: httpx.AsyncClient, own: OwnStore | None = None) -> None:
        self._peers = peers
        self._own = own

    async def fetch(self, body: bytes, arriving: Arriving) -> Source:
        """The source whose URL is `body`, on the account of `arriving`. Raises Refused (`BadRequest`)."""
        try:
            url = body.decode().strip()
            client = self._own.client if self._own is not None and self._own.holds(url) else self._peers
            data = await fetch(client, url, limit=MAX_BODY, took=arriving.count)
        except (OutsideWorld, UnicodeDecodeError) as error:
            raise Refused("BadRequest") from error
        arriving.stop()
        return Source(data, url, arriving)
