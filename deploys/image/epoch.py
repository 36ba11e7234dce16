"""Which state of its package sources an image is made from, and the time that stands for the time of its making."""

import hashlib
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

from deploys.image.bases import AptSource
from livefleet.kernel import BadInput, OutsideWorld

__all__ = ["SourceState", "epoch_of", "look_at"]

_APT_HELPER: Final = "/usr/lib/apt/apt-helper"
_DATE: Final = re.compile(r"^Date: (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SourceState:
    """A source as it is now."""

    source: AptSource
    digest: str  # of its index's index
    date: datetime | None  # that it tells


def look_at(source: AptSource, scratch: Path) -> SourceState:
    """By apt's own downloader, so that apt's proxies count. Raises OutsideWorld where no repository is there."""
    said = ""
    for name in ("InRelease", "Release"):
        target = scratch / "index"
        target.unlink(missing_ok=True)
        words = [_APT_HELPER, "download-file", f"{source.index}/{name}", str(target)]
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=120, check=False)
        if done.returncode == 0 and target.is_file():
            return _state(source, target.read_bytes())
        said = done.stderr.strip()[-300:]
    raise OutsideWorld(f"package source {source.told}: there is no Release at {source.index}: {said}")


def epoch_of(asked: int | None, states: Sequence[SourceState]) -> int:
    """Unix seconds: as asked, else the newest source's date, than which nothing that packages bring is newer."""
    if asked is not None:
        return asked
    dates = [state.date for state in states if state.date is not None]
    if not dates:
        raise BadInput(
            f"package source {states[0].source.told} does not say its date, which times in the image are made from:"
            " give --epoch SECONDS, or set SOURCE_DATE_EPOCH"
        )
    return int(max(dates).timestamp())


def _state(source: AptSource, content: bytes) -> SourceState:
    found = _DATE.search(content.decode(errors="replace"))
    date = None if found is None else parsedate_to_datetime(found[1]).astimezone(UTC)
    return SourceState(source, hashlib.sha256(content).hexdigest(), date)
