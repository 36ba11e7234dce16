"""The secrets that a host has, read where they are, so that they can be taken out of what leaves it.

Standard library only, for hosts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from livefleet.control.host.masking import Masker, secret_parts_of_urls

__all__ = ["masker_of", "read_text"]

_FOLDERS = ("keys", "secrets", "passwords", "signers", "tls")
_ENDINGS = (".key", ".pem", ".hex", ".token", ".secret")
_MOST_FILES = 2000
_LARGEST = 256 * 1024  # bytes


def masker_of(options: dict[str, Any]) -> tuple[Masker, list[str]]:
    """A masker that knows this host's secrets, and notes of what could not be read.

    `options`: `folders` (where a node's secrets may lie), `node_yaml`, `secrets` (further files by path).
    """
    values: list[str] = []
    notes: list[str] = []
    found = {path for folder in options["folders"] for path in _in_folder(folder, notes)}
    for path in sorted({*found, *options["secrets"]}):
        try:
            values.append(read_text(path, _LARGEST))
        except FileNotFoundError:
            continue
        except OSError as error:
            notes.append(
                f"cannot read {path} ({error.strerror}): its value is masked only where it looks like a secret"
            )
    with suppress(OSError):
        values += secret_parts_of_urls(read_text(options["node_yaml"], _LARGEST))
    return Masker(values), notes


def read_text(path: str, most: int) -> str:
    """The file's first `most` bytes as text; bytes that are none are replaced."""
    with Path(path).open("rb") as file:
        return file.read(most).decode(errors="replace")


def _in_folder(top: str, notes: list[str]) -> Iterator[str]:
    if Path(top).is_dir() and not os.access(top, os.R_OK | os.X_OK):
        notes.append(f"cannot look into {top}: secrets of it are masked only where they look like some")
    count = 0
    for folder, _, names in os.walk(top):
        inside = bool({*Path(folder).relative_to(top).parts[:1]} & {*_FOLDERS}) or "credentials" in Path(top).parts
        for name in names:
            if inside or name.endswith(_ENDINGS):
                count += 1
                if count > _MOST_FILES:
                    notes.append(f"more than {_MOST_FILES} secrets in {top}: the rest is masked by looks alone")
                    return
                yield str(Path(folder, name))
