"""Files put on a host whole: compared by digest, sent by stdin, renamed into place."""

import base64
import difflib
import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from deploys.facts import FileFact, Observed

__all__ = ["NEW", "HostFile", "alone", "changed_files", "difference", "put_beside", "put_script"]

NEW = ".livefleet-new"
"""What a file's name ends with until it is renamed into place."""


@dataclass(frozen=True, slots=True)
class HostFile:
    """A file as it should be on the host."""

    path: str
    content: bytes = field(repr=False)
    mode: int
    owner: str | None  # None: whoever installs it
    secret: bool
    sealed_as: str = ""  # credential of this name: encrypted on the host by systemd-creds, for itself alone

    @property
    def sha256(self) -> str:
        """Digest of the content."""
        return hashlib.sha256(self.content).hexdigest()

    def equals(self, found: FileFact | None) -> bool:
        """Whether the host's file has this content, mode and owner."""
        return (
            found is not None
            and found.sha256 == self.sha256
            and found.mode == self.mode
            and self.owner in (None, found.owner)
        )


def changed_files(files: Sequence[HostFile], facts: Observed) -> tuple[HostFile, ...]:
    """Those that the host lacks or has otherwise."""
    return tuple(file for file in files if not file.equals(facts.files.get(file.path)))


def put_script(files: Sequence[HostFile]) -> tuple[list[str], list[str]]:
    """Shell lines and the stdin they read: one base64 line a file, so that contents are in no argument list and no log.

    Each file is written beside its place with its final mode and owner, and renamed: never half there, never readable
    by others for a moment.
    """
    lines, stdin = put_beside(files)
    renames = [f"mv -f {shlex.quote(file.path + NEW)} {shlex.quote(file.path)}" for file in files]
    return [*lines, *renames], stdin


def put_beside(files: Sequence[HostFile]) -> tuple[list[str], list[str]]:
    """The same up to the renames: each file's content stands at its path with `NEW` after it."""
    lines = ["umask 077"]
    for file in files:
        n = shlex.quote(file.path + NEW)
        seal = f"systemd-creds encrypt --name={shlex.quote(file.sealed_as)} - {n}" if file.sealed_as else f"cat > {n}"
        lines += [
            f"mkdir -p {shlex.quote(file.path.rpartition('/')[0])}",
            f'IFS= read -r content; rm -f {n}; printf %s "$content" | base64 -d | {seal}',
            f"chmod {file.mode:o} {n}",
            *([f"chown {shlex.quote(file.owner)}: {n}"] if file.owner else []),
        ]
    return lines, [base64.b64encode(file.content).decode() for file in files]


def alone(lock: str) -> list[str]:
    """Shell lines: what follows waits for another run's, which may go on here after its connection was cut."""
    q = shlex.quote(lock)
    return [f"mkdir -p {shlex.quote(lock.rpartition('/')[0])}; exec 8>{q}; flock -w 600 8"]


def difference(files: Sequence[HostFile], facts: Observed) -> tuple[str, ...]:
    """Unified diff of the changed files that hold no secret; of others only that they change."""
    lines: list[str] = []
    for file in files:
        found = facts.files.get(file.path)
        if file.secret:
            lines.append(f"{file.path}: {'differs' if found else 'is new'} (content not shown)")
            continue
        before = ((found.text if found else None) or "").splitlines()
        after = file.content.decode().splitlines()
        lines += difflib.unified_diff(before, after, f"{file.path} (host)", f"{file.path} (declared)", lineterm="")
    return tuple(lines)
