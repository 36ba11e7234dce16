"""Auth tokens: what ties work requests to a GetOrchestrator answer. Nothing is stored; a token proves itself.

Source: lp_rpc.proto AuthToken, go-livepeer server/auth.go.
"""

import hashlib
import hmac
import random
from dataclasses import dataclass

from livefleet.kernel import Clock, SessionId, to_min_bytes
from livefleet.wire.errors import BadCredentials

__all__ = ["AUTH_TOKEN_VALID_S", "AuthToken", "AuthTokens", "new_id"]

AUTH_TOKEN_VALID_S = 1800
"""Gateways refresh when less than 180 s remain."""


@dataclass(frozen=True, slots=True)
class AuthToken:
    """A session's id, until when it may be used, and the proof."""

    token: bytes  # HMAC-SHA256, 32 bytes
    session: SessionId
    expiration: int  # unix seconds, inclusive


class AuthTokens:
    """Issues and checks tokens under one secret; a persisted secret lets sessions survive a restart."""

    def __init__(self, secret: bytes, clock: Clock, rng: random.Random) -> None:
        self._secret = secret
        self._clock = clock
        self._rng = rng

    def issue(self, session: SessionId | None = None) -> AuthToken:
        """A token for a new session, or a new one for a known session."""
        name = session or SessionId(new_id(self._rng))
        expiration = int(self._clock.now()) + AUTH_TOKEN_VALID_S
        return AuthToken(self._proof(name, expiration), name, expiration)

    def is_ours(self, token: AuthToken) -> bool:
        """Whether we made it, however long ago."""
        if token.expiration < 0:
            return False
        return hmac.compare_digest(token.token, self._proof(token.session, token.expiration))

    def check(self, token: AuthToken | None) -> AuthToken:
        """The token, if it may be used now. Raises BadCredentials with the protocol's text."""
        if token is None:
            raise BadCredentials("missing auth token")
        if not self.is_ours(token):
            raise BadCredentials("invalid auth token")
        if self._clock.now() > token.expiration:
            raise BadCredentials("expired auth token")
        return token

    def _proof(self, session: SessionId, expiration: int) -> bytes:
        return hmac.digest(self._secret, session.encode() + to_min_bytes(expiration), hashlib.sha256)


def new_id(rng: random.Random) -> str:
    """Eight lower-case hex characters: session, request and file ids.

    A session id in a path is the only thing that protects its renditions, so production passes `random.SystemRandom`.
    """
    return rng.randbytes(4).hex()
