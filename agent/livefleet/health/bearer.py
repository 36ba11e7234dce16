"""Bearer tokens that lie in files, which may get another content while the agent runs."""

import hmac
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

__all__ = ["TokenFile"]


class TokenFile:
    """A token that requests have to show. Read each time: a scrape is rare, and a new token counts at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def refusal(self, request: Request) -> Response | None:
        """The answer to who does not show it; None for who does. 503 while there is no token to compare with."""
        try:
            token = self._path.read_text().strip()
        except OSError:
            token = ""
        if not token:
            return PlainTextResponse("the token of this door cannot be read\n", status_code=503)
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), token.encode()):
            return None
        return PlainTextResponse("a token is needed\n", status_code=401, headers={"WWW-Authenticate": "Bearer"})
