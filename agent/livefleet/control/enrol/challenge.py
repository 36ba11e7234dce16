"""Challenges: what a host signs, so that a request says who asks, and counts once.

Nothing is kept until one comes back: it carries its time and a mark that only this process can make. Those that came
back are remembered until they have ended.
"""

import hashlib
import hmac
import secrets
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from livefleet.spec.enrolment import signed_text

__all__ = ["CHALLENGE_S", "Challenges", "is_signed"]

CHALLENGE_S: Final = 120.0
"""Seconds that a challenge can be used for."""

_MOST: Final = 100_000  # that came back and have not ended; more than the rate limit lets through


class Challenges:
    """Of one process: those of another, or of one before it, are not taken."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._spent: dict[str, float] = {}  # to when it ends, in the order that they came back

    def new(self, now: float) -> str:
        """A text for one request."""
        text = f"{int(now * 1000):x}.{secrets.token_hex(12)}"
        return f"{text}.{self._mark(text)}"

    def spend(self, challenge: str, now: float) -> bool:
        """Whether it is one of ours, has not ended and was not used before; it is now."""
        text, _, mark = challenge.rpartition(".")
        if not hmac.compare_digest(mark.encode(), self._mark(text).encode()):
            return False
        ends = int(text.partition(".")[0], 16) / 1000 + CHALLENGE_S
        self._forget(now)
        if now >= ends or challenge in self._spent or len(self._spent) >= _MOST:
            return False
        self._spent[challenge] = ends
        return True

    def _forget(self, now: float) -> None:
        for challenge, ends in list(self._spent.items())[:64]:
            if ends > now:
                break
            del self._spent[challenge]

    def _mark(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


def is_signed(public_key: str, signature: str, path: str, challenge: str, body: bytes) -> bool:
    """Whether whoever has the private key of `public_key` (hex) has signed this request."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(signature), signed_text(path, challenge, body))
    except (ValueError, InvalidSignature):
        return False
    return True
