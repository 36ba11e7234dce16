"""What of a model's files is on this host, without asking anybody."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from livefleet.ai.catalogue import Source
from livefleet.ai.hub import HubFile
from livefleet.ai.weights import Part, Weights
from livefleet.ai.weights_plan import Wanted, needed_here
from livefleet.spec import ModelEntry

__all__ = ["WeightsState", "state_of"]


@dataclass(frozen=True, slots=True)
class WeightsState:
    """Files of one part of an entry."""

    where: str  # a folder, or `owner/name` on the hub
    revision: str | None  # as asked for; None: `main`, or a folder
    commit: str | None  # what that was at the last pull; None for a folder, and where nothing was pulled
    files: int  # that are needed; 0 where that is not known yet
    present: int
    size: int  # bytes of the files that are present
    begun: int  # bytes of unfinished files
    damaged: tuple[str, ...] | None  # present files with another hash; None: not read

    @property
    def is_here(self) -> bool:
        """Whether it can be loaded as it is."""
        return 0 < self.files == self.present and not self.damaged


def state_of(weights: Weights, entry: ModelEntry, dtype: str, part: Part, *, verify: bool = False) -> WeightsState:
    """What is here. `verify` reads every file and compares hashes; a folder of the operator's has none to compare.

    Raises SourceMissing where the entry names neither a folder nor a hub id.
    """
    wanted = weights.wanted(entry, dtype, part)
    if isinstance(wanted, Source):
        folder = Path(wanted.location)
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        return WeightsState(str(folder), None, None, len(sizes), len(sizes), sum(sizes), 0, None)
    return _of_repository(weights, wanted, verify=verify)


def _of_repository(weights: Weights, wanted: Wanted, *, verify: bool) -> WeightsState:
    store = weights.store
    begun = store.begun(wanted.repository)
    listing = store.listing(wanted.repository, wanted.revision_name)
    files = needed_here(wanted, listing, store) if listing is not None else None
    if listing is None or files is None:
        return WeightsState(wanted.repository, wanted.revision, None, 0, 0, 0, begun, None)
    commit = listing.commit
    present = [file for file in files if store.has(wanted.repository, commit, file)]
    return WeightsState(
        where=wanted.repository,
        revision=wanted.revision,
        commit=commit,
        files=len(files),
        present=len(present),
        size=sum(file.size for file in present),
        begun=begun,
        damaged=_damaged(present, lambda file: store.is_intact(wanted.repository, commit, file)) if verify else None,
    )


def _damaged(files: list[HubFile], is_intact: Callable[[HubFile], bool]) -> tuple[str, ...]:
    return tuple(file.path for file in files if not is_intact(file))
