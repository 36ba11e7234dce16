"""One word for all that a running service depends on, kept in `<opt>/started`."""

import hashlib
from collections.abc import Sequence

from deploys.facts import Observed
from deploys.steps.files import HostFile

__all__ = ["stamp_found", "stamp_of"]


def stamp_of(release_id: str, files: Sequence[HostFile]) -> str:
    """Of what is declared."""
    return _digest([release_id, *(f"{file.path} {file.sha256}" for file in files)])


def stamp_found(facts: Observed, files: Sequence[HostFile]) -> str:
    """Of what the host has now at the same paths; empty where one of them is missing."""
    found = [facts.files.get(file.path) for file in files]
    if not facts.current or any(file is None for file in found):
        return ""
    digests = [f"{file.path} {fact.sha256}" for file, fact in zip(files, found, strict=True) if fact is not None]
    return _digest([facts.current, *digests])


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
