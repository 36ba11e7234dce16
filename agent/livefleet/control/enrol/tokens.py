"""Tokens: what lets a host in. Shown once; what is kept is their hash, which lets nobody in."""

import base64
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from livefleet.spec.enrolment import EnrolFault

__all__ = ["CODE_LETTERS", "Template", "TemplateKind", "Token", "fault_of", "new_code", "new_token", "token_hash"]

CODE_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Of codes: 32 characters of which none looks like another."""

_RANDOM: Final = 20  # bytes: 160 bits, so that a plain hash hides the token as well as a slow one


class TemplateKind(StrEnum):
    """What a host is let in as."""

    HOST = "host"  # one that the fleet file declares
    GROUP = "group"  # a new one of a group that the fleet file declares


@dataclass(frozen=True, slots=True)
class Template:
    """Which settings a host gets."""

    kind: TemplateKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is kept."""

    id: str  # the first characters of its hash; for people
    sha256: str
    template: Template
    made_at: float  # unix seconds
    expires_at: float
    uses: int  # hosts that it may let in
    made_by: str = ""  # which operator
    used: int = 0
    revoked: bool = False


def new_token(template: Template, *, now: float, valid_s: float, uses: int, made_by: str = "") -> tuple[str, Token]:
    """A token's text, which is kept nowhere, and what is."""
    text = "lf1-" + base64.b32encode(secrets.token_bytes(_RANDOM)).decode().lower()
    sha256 = token_hash(text)
    return text, Token(sha256[:8], sha256, template, now, now + valid_s, uses, made_by)


def token_hash(text: str) -> str:
    """64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def fault_of(token: Token, now: float) -> EnrolFault | None:
    """Why it lets nobody new in; None: it does."""
    if token.revoked:
        return EnrolFault.TOKEN_REVOKED
    if now >= token.expires_at:
        return EnrolFault.TOKEN_EXPIRED
    if token.used >= token.uses:
        return EnrolFault.TOKEN_USED
    return None


def new_code(choice: Callable[[str], str] = secrets.choice) -> str:
    """`ABCD-EFGH`: 40 bits, and only good for approving a host that waits."""
    letters = [choice(CODE_LETTERS) for _ in range(8)]
    return f"{''.join(letters[:4])}-{''.join(letters[4:])}"
