"""What looks like a secret in a text that is about to be baked into an image: refused, and never shown."""

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["secrets_in"]

_PATTERNS: Final = (
    (re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----"), "a private key"),
    (re.compile(r"\"?ciphertext\"?\s*:\s*\"?[0-9a-fA-F]{32}"), "a keystore"),
    (re.compile(r"\blf1-[a-z2-7]{32}\b"), "a token that a host enrols with"),
    (re.compile(r"\bhf_[A-Za-z0-9]{20,}\b"), "an access token of a model hub"),
    (
        re.compile(r"(?<![0-9a-fA-F:])(?:0x)?[0-9a-fA-F]{64}(?![0-9a-fA-F])"),
        "64 hexadecimal digits, which may be a key",
    ),
    (re.compile(r"[a-z][a-z0-9+.-]*://[^\s/@:\"']+:[^\s/@\"']+@"), "an address with a password in it"),
    (
        re.compile(r"(?i)[?&](?:api_?key|access_?token|token|key|secret|password)=[^\s&\"']+"),
        "an address with a key in it",
    ),
    (
        re.compile(
            r"(?im)^[\s\"'-]*(?:password|passphrase|secret|api_?key|private_?key|auth_?token|token)[\"']?\s*[:=]\s*[\"']?[^\s\"'{\[][^\n]*$"
        ),
        "a password or token written out",
    ),
)


def secrets_in(text: str) -> Iterator[str]:
    """What was found and in which line; the text itself is not repeated."""
    for pattern, what in _PATTERNS:
        for found in pattern.finditer(text):
            line = text.count("\n", 0, found.start() + len(found[0]) - len(found[0].lstrip("\n"))) + 1
            yield f"line {line} has {what}"
