"""Weights on this host's disk: laid out like the hub, every file there in whole and checked, or not there at all.

```
FOLDER/OWNER/NAME/resolve/COMMIT/PATH            a file; put there by one rename once its hash was right
FOLDER/api/models/OWNER/NAME/revision/REVISION   the listing of a commit, branch or tag, as the hub answers it
FOLDER/.partial/OWNER--NAME/HASH-...             what has come of a file so far
FOLDER/.lock/OWNER--NAME                         held by whoever pulls
```
So a web server that exports FOLDER is a mirror of the hub, for what is in it.
"""

import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from livefleet.ai.errors import SourceMissing, WeightsBroken
from livefleet.ai.hub import (
    ContentHash,
    HubFile,
    Listing,
    file_path,
    is_commit,
    listing_path,
    listing_text,
    parse_listing,
)
from livefleet.kernel.durable_file import sync_folder, write_durably

__all__ = ["WeightsStore", "free_bytes"]

_LOOK_S: Final = 0.2
_CHUNK: Final = 1 << 20


def free_bytes(folder: Path) -> int:
    """What this user may still write to the disk that `folder` is on, or is to be on."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


class WeightsStore:
    """The folder of one host. Several processes may use it."""

    def __init__(self, folder: Path, *, free: Callable[[Path], int] = free_bytes) -> None:
        self.folder = folder
        self._free = free

    def free(self) -> int:
        """Bytes that may still be written."""
        return self._free(self.folder)

    def listing(self, repository: str, revision: str) -> Listing | None:
        """What was pulled last under this revision; None: nothing was, in whole."""
        try:
            data = (self.folder / unquote(listing_path(repository, revision))).read_bytes()
        except OSError:
            return None
        with suppress(WeightsBroken):
            return parse_listing(data, name=str(self.folder))
        return None

    def keep_listing(self, repository: str, revision: str, listing: Listing) -> None:
        """Remember what a revision is."""
        for name in {revision, listing.commit}:
            path = self.folder / unquote(listing_path(repository, name))
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, listing_text(listing).encode(), mode=None)

    def snapshot(self, repository: str, commit: str) -> Path:
        """The folder that holds a commit's files."""
        return self.folder / repository / "resolve" / commit

    def path(self, repository: str, commit: str, file: HubFile) -> Path:
        """Where a file is once it is here."""
        return self.folder / unquote(file_path(repository, commit, file.path))

    def has(self, repository: str, commit: str, file: HubFile) -> bool:
        """Whether it is here: only what had the right hash is put there, and its size tells a later mishap."""
        try:
            return self.path(repository, commit, file).stat().st_size == file.size
        except OSError:
            return False

    def is_intact(self, repository: str, commit: str, file: HubFile) -> bool:
        """Whether its content still has the announced hash. Reads all of it."""
        digest = ContentHash(file)
        try:
            with self.path(repository, commit, file).open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
        except OSError:
            return False
        return digest.is_right

    def forget(self, repository: str, commit: str, file: HubFile) -> None:
        """Take a file away."""
        self.path(repository, commit, file).unlink(missing_ok=True)

    def partial(self, repository: str, file: HubFile) -> Path:
        """Where a file grows. One path and content has one place, so that no two downloads meet."""
        where = hashlib.sha256(file.path.encode()).hexdigest()[:8]
        return self.folder / ".partial" / repository.replace("/", "--") / f"{file.content_name}-{where}"

    def partial_size(self, repository: str, file: HubFile) -> int:
        """How much of it has come; counts only while it may be the begin of the file."""
        try:
            size = self.partial(repository, file).stat().st_size
        except OSError:
            return 0
        return size if size <= file.size else 0

    def begun(self, repository: str) -> int:
        """Bytes of a repository's unfinished files."""
        folder = self.folder / ".partial" / repository.replace("/", "--")
        try:
            return sum(path.stat().st_size for path in folder.iterdir())
        except OSError:
            return 0

    def place(self, repository: str, commit: str, file: HubFile) -> None:
        """Put a grown and checked file where it belongs, for good."""
        partial, path = self.partial(repository, file), self.path(repository, commit, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        partial.replace(path)
        sync_folder(path.parent)

    def take_from_other_commit(self, repository: str, commit: str, file: HubFile) -> bool:
        """Link a file that an earlier commit has with the same content. Whether there was one."""
        revisions = (self.folder / listing_path(repository, commit)).parent
        for other in revisions.iterdir() if revisions.is_dir() else ():
            if (
                not is_commit(other.name)
                or other.name == commit
                or (known := self.listing(repository, other.name)) is None
            ):
                continue
            same = next((f for f in known.files if f.content_name == file.content_name), None)
            if same is not None and self.is_intact(repository, other.name, same):
                partial = self.partial(repository, file)
                partial.parent.mkdir(parents=True, exist_ok=True)
                partial.unlink(missing_ok=True)
                os.link(self.path(repository, other.name, same), partial)
                self.place(repository, commit, file)
                return True
        return False

    @contextmanager
    def locked(self, repository: str, stop: threading.Event) -> Iterator[None]:
        """Alone with a repository, among threads and processes. Raises SourceMissing when stopped while waiting."""
        folder = self.folder / ".lock"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / repository.replace("/", "--")).open("ab") as lock:
            while True:
                with suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                if stop.wait(_LOOK_S):
                    raise SourceMissing(f"stopped while another process pulls {repository}")
            yield
