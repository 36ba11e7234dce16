"""Reads a bundle as a client of The Update Framework: signatures, version order, expiry and hashes are its library's.

Everything here blocks, within bounds: it belongs on a thread.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    EqualVersionNumberError,
    ExpiredMetadataError,
    RepositoryError,
)
from tuf.api.metadata import Metadata, TargetFile
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from livefleet.pull.published import Published, PullError, PullFault
from livefleet.spec import slice_path

__all__ = ["LARGEST_SLICE", "BundleReader"]

LARGEST_SLICE: Final = 1 << 20
"""Bytes that a slice may have: some hundred times an ordinary one."""


_LISTS: Final = ("targets", "snapshot", "timestamp")


class BundleReader:
    """One bundle as one host sees it. What was believed before is kept in `folder`: an older bundle is refused."""

    def __init__(self, url: str, trust: bytes, folder: Path, host: str, fetcher: FetcherInterface) -> None:
        self._url = url
        self._trust = trust
        self._folder = folder
        self._host = host
        self._fetcher = fetcher
        self._found: tuple[Updater, TargetFile] | None = None

    def look(self) -> Published:
        """What is published for the host now. Raises PullError."""
        with self._faults():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            updater = Updater(
                str(self._folder),
                f"{self._url}/metadata",
                target_base_url=f"{self._url}/targets",
                fetcher=self._fetcher,
                config=UpdaterConfig(max_root_rotations=32),
                bootstrap=self._trust,
            )
            updater.refresh()
            target = updater.get_targetinfo(slice_path(self._host))
            if target is None:
                raise PullError(
                    PullFault.NOT_LISTED,
                    f"the bundle has no slice for `{self._host}`: publish a fleet that has the host, with `pull:`",
                )
            self._found = updater, target
            # The library keeps what it has verified, and tells of it in no other way.
            lists = [Metadata[Any].from_file(str(self._folder / f"{name}.json")).signed for name in _LISTS]
            expires = min(signed.expires for signed in lists)
            return Published(lists[0].version, target.hashes["sha256"], target.length, expires)

    def fetch(self) -> bytes:
        """The slice that `look` told of, its length and hash checked. Raises PullError."""
        assert self._found is not None  # `look` comes first
        updater, target = self._found
        if target.length > LARGEST_SLICE:
            raise PullError(
                PullFault.WRONG_SIGNATURE, f"the slice has {target.length} bytes; {LARGEST_SLICE} are taken"
            )
        path = self._folder / "slice"
        with self._faults():
            updater.download_target(target, str(path))
            return path.read_bytes()

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        # The library warns in its own words of each answer 404, among them the one that says "no newer root".
        logging.getLogger("tuf").setLevel(logging.ERROR)
        try:
            yield
        except PullError:
            raise
        except ExpiredMetadataError as error:
            raise PullError(
                PullFault.EXPIRED,
                f"the bundle's signatures have expired ({error}): run `livefleet bundle publish` again; if it was,"
                " somebody holds newer ones back",
            ) from error
        except EqualVersionNumberError as error:
            raise PullError(PullFault.WRONG_SIGNATURE, f"two bundles have one version: {error}") from error
        except BadVersionNumberError as error:
            raise PullError(
                PullFault.OLDER, f"the bundle is older than the one that was believed before: {error}"
            ) from error
        except DownloadError as error:
            raise PullError(PullFault.UNREACHABLE, f"{self._url} cannot be read: {_cause(error)}") from error
        except RepositoryError as error:
            raise PullError(
                PullFault.WRONG_SIGNATURE, f"what is at {self._url} is not signed as this host expects: {error}"
            ) from error
        except OSError as error:
            raise PullError(PullFault.UNREACHABLE, f"{self._folder} cannot be written: {error.strerror}") from error


def _cause(error: BaseException) -> str:
    """The innermost words: the library wraps what happened in `Failed to download`."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__
