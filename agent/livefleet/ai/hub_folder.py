"""A site's cache that is a folder: a file server's, laid out like the hub."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote

from livefleet.ai.errors import HubAway, WeightsMissing
from livefleet.ai.hub import HubFile, Listing, Opened, file_path, listing_path, parse_listing

__all__ = ["FolderSource"]

_CHUNK: Final = 1 << 20


class FolderSource:
    """Reads only."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._folder = folder

    def listing(self, repository: str, revision: str) -> Listing:
        """As written by the host that pulled it. Raises WeightsMissing, HubAway, WeightsBroken."""
        with self._opened(listing_path(repository, revision), f"{repository} at {revision}") as file:
            return parse_listing(file.read(), name=self.name)

    @contextmanager
    def open(self, repository: str, commit: str, file: HubFile, start: int) -> Iterator[Opened]:
        """Read a file from byte `start` on."""
        with self._opened(file_path(repository, commit, file.path), f"{repository}/{file.path}") as stream:
            stream.seek(start)
            yield Opened(start, self._chunks(stream))

    def _chunks(self, stream: BinaryIO) -> Iterator[bytes]:
        try:
            while chunk := stream.read(_CHUNK):
                yield chunk
        except OSError as error:
            raise HubAway(f"{self.name}: {error.strerror}") from error

    @contextmanager
    def _opened(self, path: str, what: str) -> Iterator[BinaryIO]:
        try:
            stream = (self._folder / unquote(path)).open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise WeightsMissing(f"{self.name} has no {what}") from error
        except OSError as error:
            raise HubAway(f"{self.name}: {error.strerror}") from error
        with stream:
            yield stream
