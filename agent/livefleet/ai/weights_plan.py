"""What a pull is about: what is wanted, which files that means, what is here of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from livefleet.ai.errors import WeightsBroken
from livefleet.ai.hub import HubFile, Listing
from livefleet.ai.weight_files import INDEX, components_of, needed_files
from livefleet.ai.weights_store import WeightsStore
from livefleet.spec import Pipeline

__all__ = ["PullPlan", "PullWatcher", "Pulled", "Unwatched", "Wanted", "needed_here", "present_files"]

_MAIN: Final = "main"
_MAX_INDEX: Final = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be here."""

    repository: str
    revision: str | None  # None: `main`
    pipeline: Pipeline
    dtype: str
    only: str | None = None  # one file, and no other
    without: str | None = None  # a part whose weights come from elsewhere

    @property
    def revision_name(self) -> str:
        """The revision to ask for."""
        return self.revision or _MAIN


@dataclass(frozen=True, slots=True)
class PullPlan:
    """What a pull is about to do."""

    wanted: Wanted
    commit: str
    files: tuple[HubFile, ...]  # all that are needed
    missing: tuple[HubFile, ...]  # of these, not here
    to_fetch: int  # bytes


@dataclass(frozen=True, slots=True)
class Pulled:
    """What is here now."""

    wanted: Wanted
    commit: str
    folder: Path
    files: int
    size: int  # bytes
    fetched: int  # bytes that came over the network or from the cache just now


class PullWatcher(Protocol):
    """Is told how a pull goes, from any thread."""

    def planned(self, plan: PullPlan) -> None:
        """What is to come."""
        ...

    def advanced(self, wanted: Wanted, amount: int) -> None:
        """Bytes that came; negative where they were thrown away."""
        ...


class Unwatched:
    """Nobody looks."""

    def planned(self, plan: PullPlan) -> None:
        """Nothing."""

    def advanced(self, wanted: Wanted, amount: int) -> None:
        """Nothing."""


def present_files(wanted: Wanted, store: WeightsStore) -> tuple[Listing, tuple[HubFile, ...]] | None:
    """The listing and the needed files where all of them are here, without asking anybody."""
    listing = store.listing(wanted.repository, wanted.revision_name)
    if listing is None:
        return None
    files = needed_here(wanted, listing, store)
    if files is None or not files or not all(store.has(wanted.repository, listing.commit, file) for file in files):
        return None
    return listing, files


def needed_here(wanted: Wanted, listing: Listing, store: WeightsStore) -> tuple[HubFile, ...] | None:
    """Which of the listing's files are needed; None: not known before the index is here. Raises WeightsBroken."""
    if wanted.only is not None:
        file = listing.find(wanted.only)
        return () if file is None else (file,)
    index = listing.find(INDEX)
    if index is None:
        return needed_files(listing.files, wanted.pipeline, wanted.dtype)
    if index.size > _MAX_INDEX:
        raise WeightsBroken(f"{wanted.repository}: {INDEX} has {index.size} bytes; it is no index")
    if not store.has(wanted.repository, listing.commit, index):
        return None
    try:
        components = components_of(store.path(wanted.repository, listing.commit, index).read_bytes())
    except (ValueError, RecursionError) as error:
        raise WeightsBroken(f"{wanted.repository}: {INDEX}: {error}") from error
    return needed_files(listing.files, wanted.pipeline, wanted.dtype, components, without=wanted.without)
