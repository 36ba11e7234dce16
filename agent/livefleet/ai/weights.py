"""Where a model's weights are on this host, and having them here before it is loaded."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path

from livefleet.ai.catalogue import Placement, Source, resolve_source
from livefleet.ai.errors import SourceMissing
from livefleet.ai.hub import FileSource, is_repository
from livefleet.ai.hub_folder import FolderSource
from livefleet.ai.hub_http import HttpSource
from livefleet.ai.pipelines.distilled import LIGHTNING_BASE, LIGHTNING_REPOSITORY, Lightning, distillation_of
from livefleet.ai.weights_plan import Pulled, PullWatcher, Unwatched, Wanted, present_files
from livefleet.ai.weights_pull import Patience, pull
from livefleet.ai.weights_store import WeightsStore, free_bytes
from livefleet.spec import ModelEntry, WeightsSettings

__all__ = ["Part", "Weights"]


class Part(StrEnum):
    """What of an entry has weights."""

    MODEL = "model"
    NETWORK = "network"  # of a model that is another's with a network of its own
    CONTROLNET = "controlnet"
    SAFETY_CHECKER = "safety_checker"


class Weights:
    """The weights of a node. Holds no connection and no lock between calls."""

    def __init__(
        self,
        settings: WeightsSettings,
        *,
        state_folder: Path,
        token: str | None = None,
        patience: Patience | None = None,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._settings = settings
        self._state_folder = state_folder
        self._token = token
        self._patience = patience or Patience()
        self._slots = threading.Semaphore(settings.downloads)
        self.store = WeightsStore(state_folder / settings.folder, free=free)

    def parts(self, entry: ModelEntry) -> tuple[Part, ...]:
        """What there is to be loaded of an entry here; nothing of one that is served elsewhere."""
        if entry.url is not None or not entry.is_local:
            return ()
        lightning = self._lightning(entry)
        named = {
            Part.NETWORK: lightning and lightning.network_file,
            Part.CONTROLNET: entry.controlnet,
            Part.SAFETY_CHECKER: entry.safety_checker,
        }
        return (Part.MODEL, *(part for part, name in named.items() if name is not None))

    def wanted(self, entry: ModelEntry, dtype: str, part: Part = Part.MODEL) -> Wanted | Source:
        """What is to be pulled, or the folder that the entry names. Raises SourceMissing."""
        if part in {Part.MODEL, Part.NETWORK} and (lightning := self._lightning(entry)) is not None:
            if part is Part.NETWORK:
                return Wanted(LIGHTNING_REPOSITORY, entry.revision, entry.pipeline, dtype, only=lightning.network_file)
            return Wanted(LIGHTNING_BASE, None, entry.pipeline, dtype, without="unet")
        match part:
            case Part.MODEL | Part.NETWORK:
                source = resolve_source(entry, self._state_folder)
            case Part.CONTROLNET:
                source = self._resolve(entry.controlnet)
            case Part.SAFETY_CHECKER:
                source = self._resolve(entry.safety_checker)
        if source.is_folder:
            return source
        return Wanted(source.location, source.revision, entry.pipeline, dtype)

    def local(self, entry: ModelEntry, dtype: str, part: Part = Part.MODEL) -> Source | None:
        """The folder that holds it, asking nobody; None where something of it is not here. Raises SourceMissing."""
        wanted = self.wanted(entry, dtype, part)
        if isinstance(wanted, Source):
            return wanted
        found = present_files(wanted, self.store)
        return None if found is None else _source(self.store.snapshot(wanted.repository, found[0].commit))

    async def source_of(self, placement: Placement) -> Source:
        """Everything that the runner of a placement loads, once it is here. Raises as `fetch`."""
        entry, dtype = placement.entry, placement.dtype
        lightning = self._lightning(entry)
        found = {part: await self.fetch(entry, dtype, part) for part in self.parts(entry)}
        where = {part: source.location for part, source in found.items()}
        if lightning is not None:
            _put_beside(Path(where[Part.NETWORK]) / lightning.network_file, Path(where[Part.MODEL]))
        return replace(
            found[Part.MODEL], controlnet=where.get(Part.CONTROLNET), safety_checker=where.get(Part.SAFETY_CHECKER)
        )

    async def fetch(
        self, entry: ModelEntry, dtype: str, part: Part = Part.MODEL, *, watcher: PullWatcher | None = None
    ) -> Source:
        """The folder that holds it, once it does. What is here in whole is taken as it is, without asking anybody.

        Cancelling stops the download soon; what has come stays. Raises SourceMissing and what is below it.
        """
        stop = threading.Event()
        # A thread of its own: it may take an hour, and the loop's own few threads are for short things.
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="weights")
        work = asyncio.get_running_loop().run_in_executor(
            thread, partial(self._here, entry, dtype, part, stop=stop, watcher=watcher or Unwatched())
        )
        thread.shutdown(wait=False)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            stop.set()
            work.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody asks any more
            raise

    def pull(self, wanted: Wanted, *, stop: threading.Event, watcher: PullWatcher, verify: bool = False) -> Pulled:
        """Have it here as its revision is now: a branch that has moved on is followed. Blocks.

        `verify`: read what is here too, and fetch anew what the disk has spoilt. Raises SourceMissing and below.
        """
        with self._sources() as sources:
            return pull(
                wanted,
                store=self.store,
                sources=sources,
                slots=self._slots,
                keep_free=self._settings.keep_free,
                stop=stop,
                watcher=watcher,
                patience=self._patience,
                verify=verify,
            )

    def _here(
        self, entry: ModelEntry, dtype: str, part: Part, *, stop: threading.Event, watcher: PullWatcher
    ) -> Source:
        if (found := self.local(entry, dtype, part)) is not None:
            return found
        wanted = self.wanted(entry, dtype, part)
        assert isinstance(wanted, Wanted)  # a folder would have been found
        return _source(self.pull(wanted, stop=stop, watcher=watcher).folder)

    def _lightning(self, entry: ModelEntry) -> Lightning | None:
        """What is loaded with SDXL's other parts, unless it has a folder of its own."""
        distilled = distillation_of(entry.model_id)
        if not isinstance(distilled, Lightning):
            return None
        return None if resolve_source(entry, self._state_folder).is_folder else distilled

    def _resolve(self, name: str | None) -> Source:
        assert name is not None  # the caller looked
        folder = self._state_folder / name
        if folder.is_dir():
            return _source(folder)
        if is_repository(name):
            return Source(name, is_folder=False, revision=None)
        raise SourceMissing(f"no folder {folder}, and {name!r} is no hub id (owner/name)")

    @contextmanager
    def _sources(self) -> Iterator[list[FileSource]]:
        """The nearest first."""
        with ExitStack() as stack:
            sources: list[FileSource] = []
            cache = self._settings.site_cache
            if cache is not None:
                is_folder = cache.startswith("/")
                sources.append(FolderSource(Path(cache)) if is_folder else stack.enter_context(HttpSource(cache)))
            if not self._settings.offline:
                sources.append(stack.enter_context(HttpSource(self._settings.hub, token=self._token)))
            yield sources


def _put_beside(file: Path, folder: Path) -> None:
    """Link a file into a folder, where its loader looks for it. Raises SourceMissing."""
    target = folder / file.name
    try:
        if not (target.exists() and target.samefile(file)):
            target.unlink(missing_ok=True)
            target.hardlink_to(file)
    except OSError as error:
        raise SourceMissing(f"{target}: {error.strerror or error}") from error


def _source(folder: Path) -> Source:
    return Source(str(folder), is_folder=True, revision=None)
