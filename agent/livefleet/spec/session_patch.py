"""A third party's change of NVIDIA's encoder library, as an operator declares it. None is part of this project."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import StringConstraints, field_validator, model_validator

from livefleet.spec.model import SpecModel

__all__ = ["SessionPatch", "Sha256"]

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest, 64 lower-case hexadecimal digits."""


class SessionPatch(SpecModel):
    """Changes `libnvidia-encode.so` so that GeForce cards open more encoder sessions at once.

    What you name here is someone else's work on a file of NVIDIA's: whether you may use it is for you to know. It is
    fetched, compared with the digests given, and used on exactly one driver version; the library as it was is kept, and
    taking this block away puts it back.
    """

    kind: Literal["library", "tool"] = "library"
    """`library`: the file is the whole changed library. `tool`: the file is a script that `bash` runs as root with
    `arguments`, and that changes the library in place."""

    url: str
    """Where the host finds the file: `https://`, `http://`, or `file:///` for one that is on the host already."""

    sha256: Sha256
    """Digest of that file. Another file is never used."""

    arguments: tuple[str, ...] = ()
    """For a tool: its arguments."""

    patched_sha256: Sha256 | None = None
    """Digest of the library afterwards; required for a tool. Another outcome is undone. None for a library:
    `sha256`."""

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("https", "http", "file") or not (parts.netloc or parts.scheme == "file"):
            raise ValueError(f"{value!r} is no address of a file; write https://..., http://... or file:///...")
        return value

    @model_validator(mode="after")
    def _knows_its_outcome(self) -> Self:
        if self.kind == "tool" and self.patched_sha256 is None:
            raise ValueError("a tool's outcome must be known: give `patched_sha256`, the digest of the changed library")
        if self.kind == "library" and self.patched_sha256 not in (None, self.sha256):
            raise ValueError("`patched_sha256` of a library is its `sha256`; leave it out")
        if self.kind == "library" and self.arguments:
            raise ValueError("`arguments` are for a tool; a library is put in place as it is")
        return self

    @property
    def outcome(self) -> str:
        """Digest of the library once it is changed."""
        return self.patched_sha256 or self.sha256
