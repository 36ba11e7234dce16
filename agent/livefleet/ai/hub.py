"""What a model hub says of a repository: revisions, files, sizes and hashes. Pure; the shapes are Hugging Face's.

`GET /api/models/OWNER/NAME/revision/REVISION?blobs=true` answers `{"sha": commit, "siblings": [{"rfilename", "size",
"blobId", "lfs": {"sha256", "size"}}]}`; `GET /OWNER/NAME/resolve/COMMIT/PATH` the file. `blobId` is git's SHA-1 of the
file's blob; for large files (`lfs`), of a pointer, and `sha256` is the content's.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Protocol
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from livefleet.ai.errors import WeightsBroken

__all__ = [
    "ContentHash",
    "FileSource",
    "HubFile",
    "Listing",
    "Opened",
    "file_path",
    "is_commit",
    "is_repository",
    "listing_path",
    "listing_text",
    "parse_listing",
]

_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_MAX_FILES: Final = 100_000


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a revision. One of the two hashes is there."""

    path: str  # relative, with `/`
    size: int  # bytes
    sha256: str | None = None
    git_sha1: str | None = None  # of `blob SIZE\0` and the content

    @property
    def content_name(self) -> str:
        """A name that only this content has."""
        return self.sha256 or f"git-{self.git_sha1}"


@dataclass(frozen=True, slots=True)
class Listing:
    """A revision and its files."""

    commit: str
    files: tuple[HubFile, ...]

    def find(self, path: str) -> HubFile | None:
        """The file at `path`."""
        return next((file for file in self.files if file.path == path), None)


class ContentHash:
    """The hash that a file must have, over what has been read of it."""

    def __init__(self, file: HubFile) -> None:
        self._file = file
        self._digest = hashlib.sha256() if file.sha256 else hashlib.sha1(usedforsecurity=False)
        if not file.sha256:
            self._digest.update(b"blob %d\0" % file.size)

    def update(self, data: bytes) -> None:
        """Read on."""
        self._digest.update(data)

    @property
    def found(self) -> str:
        """What it came to."""
        return self._digest.hexdigest()

    @property
    def is_right(self) -> bool:
        """Whether it is the declared one."""
        return self.found == (self._file.sha256 or self._file.git_sha1)


@dataclass(frozen=True, slots=True)
class Opened:
    """A file being read: `chunks` begin at byte `start`, which need not be the one that was asked for."""

    start: int
    chunks: Iterator[bytes]


class FileSource(Protocol):
    """The hub, a mirror, or a site's cache."""

    name: str  # for messages

    def listing(self, repository: str, revision: str) -> Listing:
        """Raises WeightsMissing where it has none, HubRefused, HubAway, WeightsBroken."""
        ...

    def open(self, repository: str, commit: str, file: HubFile, start: int) -> AbstractContextManager[Opened]:
        """Read a file from byte `start` on. Raises likewise, HubAway in the midst of it too."""
        ...


def is_repository(text: str) -> bool:
    """Whether it is a hub id: `owner/name`, or a name alone."""
    return len(text) <= 200 and _REPOSITORY.fullmatch(text) is not None and ".." not in text


def is_commit(revision: str) -> bool:
    """Whether it names one state for ever."""
    return _COMMIT.fullmatch(revision) is not None


def listing_path(repository: str, revision: str) -> str:
    """Where a listing is, below the hub's URL; quoted it is one segment."""
    return f"api/models/{repository}/revision/{quote(revision, safe='')}"


def file_path(repository: str, commit: str, path: str) -> str:
    """Where a file is, below the hub's URL."""
    return f"{repository}/resolve/{commit}/{quote(path)}"


class _Lfs(BaseModel):
    model_config = ConfigDict(extra="ignore")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class _Sibling(BaseModel):
    model_config = ConfigDict(extra="ignore")
    rfilename: str = Field(min_length=1, max_length=500)
    size: int | None = Field(default=None, ge=0)
    blobId: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")  # noqa: N815 -- the hub's name
    lfs: _Lfs | None = None


class _Info(BaseModel):
    model_config = ConfigDict(extra="ignore")
    sha: str = Field(pattern=r"^[0-9a-f]{40}$")
    siblings: list[_Sibling] = Field(max_length=_MAX_FILES)


def parse_listing(data: bytes | str, *, name: str) -> Listing:
    """Read an answer. `name` says whose it is. Raises WeightsBroken, also for paths that lead out of the repository."""
    try:
        info = _Info.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WeightsBroken(f"{name}: not a hub's answer: {where}: {first['msg']}") from error
    return Listing(info.sha, tuple(_file(sibling, name) for sibling in info.siblings))


def listing_text(listing: Listing) -> str:
    """The same as a hub would answer."""
    siblings = [
        {"rfilename": file.path, "size": file.size, "blobId": file.git_sha1}
        | ({"lfs": {"sha256": file.sha256, "size": file.size}} if file.sha256 else {})
        for file in listing.files
    ]
    return json.dumps({"sha": listing.commit, "siblings": siblings})


def _file(sibling: _Sibling, name: str) -> HubFile:
    path = PurePosixPath(sibling.rfilename)
    if (
        path.is_absolute()
        or ".." in path.parts
        or str(path) != sibling.rfilename
        or not sibling.rfilename.isprintable()
    ):
        raise WeightsBroken(f"{name}: a file's path leads out of the repository: {sibling.rfilename[:80]!r}")
    if sibling.lfs is not None:
        return HubFile(sibling.rfilename, sibling.lfs.size, sibling.lfs.sha256, sibling.blobId)
    if sibling.size is None or sibling.blobId is None:
        raise WeightsBroken(f"{name}: no size or hash of {sibling.rfilename}; nothing could be checked")
    return HubFile(sibling.rfilename, sibling.size, None, sibling.blobId)
