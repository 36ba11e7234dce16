"""Signatures of webhooks' bodies, so that a receiver knows who sent them, and when.

`X-Livefleet-Timestamp` has unix seconds, `X-Livefleet-Signature` has `v1=` and the hex HMAC-SHA256 of the timestamp, a
dot and the body as it was sent.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from livefleet.kernel import Refused

__all__ = ["SIGNATURE", "TIMESTAMP", "check_signature", "signature_headers"]

TIMESTAMP: Final = "X-Livefleet-Timestamp"
SIGNATURE: Final = "X-Livefleet-Signature"

_VERSION: Final = "v1="


def signature_headers(secret: bytes, body: bytes, now: float) -> dict[str, str]:
    """The headers that go with `body` when it is sent at `now` (unix seconds)."""
    timestamp = str(int(now))
    return {TIMESTAMP: timestamp, SIGNATURE: _VERSION + _digest(secret, timestamp, body)}


def check_signature(
    secret: bytes, headers: Mapping[str, str], body: bytes, now: float, *, tolerance_s: float = 300
) -> None:
    """What a receiver does. `headers` by names in small letters or whatever finds them so.

    Raises Refused: `unsigned`, `forged` or `too old`. The last keeps a body that was overheard from being used again.
    """
    timestamp, signature = headers.get(TIMESTAMP.lower(), ""), headers.get(SIGNATURE.lower(), "")
    if not timestamp.isascii() or not timestamp.isdigit() or not signature.startswith(_VERSION):
        raise Refused("unsigned", status=401)
    expected = _VERSION + _digest(secret, timestamp, body)
    if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
        raise Refused("forged", status=401)
    if abs(now - int(timestamp)) > tolerance_s:
        raise Refused("too old", status=401)


def _digest(secret: bytes, timestamp: str, body: bytes) -> str:
    return hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
