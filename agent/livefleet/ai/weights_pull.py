"""Bringing one repository's files here: from the site's cache, else the hub; resumed, checked, and all or nothing.

Blocking, and many files at once: runs in threads. A process that is killed at any moment leaves a checked file, or a
beginning that the next pull goes on with.
"""

import errno
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from livefleet.ai.errors import DiskFull, HubAway, HubRefused, SourceMissing, WeightsBroken, WeightsMissing
from livefleet.ai.hub import ContentHash, FileSource, HubFile, Listing, is_commit
from livefleet.ai.weight_files import INDEX
from livefleet.ai.weights_plan import Pulled, PullPlan, PullWatcher, Wanted, needed_here
from livefleet.ai.weights_store import WeightsStore

__all__ = ["Patience", "pull"]

log = logging.getLogger(__name__)

T = TypeVar("T")

_LOOK_S: Final = 0.2
_THREADS: Final = 32  # as many as there can be slots
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a pull goes on trying."""

    tries: int = 5  # of one source, without a byte in between
    first_pause_s: float = 0.5  # doubled each time
    longest_pause_s: float = 20.0


def pull(
    wanted: Wanted,
    *,
    store: WeightsStore,
    sources: Sequence[FileSource],
    slots: threading.Semaphore,
    keep_free: int,
    stop: threading.Event,
    watcher: PullWatcher,
    patience: Patience,
    verify: bool = False,
) -> Pulled:
    """Have everything that is wanted here. Does nothing where it is.

    Args:
        wanted: The repository and what it is for.
        store: Where files go.
        sources: Where they come from, the nearest first; none: only what is here counts.
        slots: As many as files may come at once, over all pulls.
        keep_free: Bytes to leave free on the disk.
        stop: Set from elsewhere to give up; what has come stays.
        watcher: Is told of the progress.
        patience: With a source that fails.
        verify: Read what is here too, and fetch anew what the disk has spoilt.

    Raises:
        WeightsMissing, HubRefused, HubAway, WeightsBroken: by the last source, all of them named.
        DiskFull: before anything is fetched where that can be known, else in the midst.
        SourceMissing: stopped.
    """
    try:
        with store.locked(wanted.repository, stop):
            return _Pull(wanted, store, sources, slots, stop, watcher, patience).run(keep_free, verify=verify)
    except OSError as error:
        raise SourceMissing(f"{store.folder}: {error.strerror or error}") from error


class _Pull:
    """One pull, alone with its repository."""

    def __init__(
        self,
        wanted: Wanted,
        store: WeightsStore,
        sources: Sequence[FileSource],
        slots: threading.Semaphore,
        stop: threading.Event,
        watcher: PullWatcher,
        patience: Patience,
    ) -> None:
        self._wanted = wanted
        self._repository = wanted.repository
        self._store = store
        self._sources = sources
        self._slots = slots
        self._stop = stop
        self._watcher = watcher
        self._patience = patience
        self._gone: list[FileSource] = []  # sources that did not answer; not asked first again
        self._failed = threading.Event()
        self._fetched = 0
        self._count = threading.Lock()

    def run(self, keep_free: int, *, verify: bool) -> Pulled:
        listing = self._listing()
        commit = listing.commit
        index = listing.find(INDEX) if self._wanted.only is None else None
        if index is not None and not self._store.has(self._repository, commit, index):
            self._check_room([index], keep_free)
            self._get(commit, index)
        files = needed_here(self._wanted, listing, self._store)
        assert files is not None  # the index is here now
        if not files:
            what = self._wanted.only or f"weights that {self._wanted.pipeline} can load"
            raise WeightsMissing(f"{self._repository} at {commit[:10]} has no {what}")
        if verify:
            self._forget_spoilt(commit, files)
        missing = tuple(file for file in files if not self._store.has(self._repository, commit, file))
        to_fetch = self._check_room(missing, keep_free)
        self._watcher.planned(PullPlan(self._wanted, commit, files, missing, to_fetch))
        if missing:
            log.info("ai.weights_pulling", extra={"repository": self._repository, "commit": commit, "bytes": to_fetch})
        self._get_all(commit, missing)
        self._store.keep_listing(self._repository, self._wanted.revision_name, listing)
        size = sum(file.size for file in files)
        if missing:
            log.info(
                "ai.weights_pulled",
                extra={"repository": self._repository, "commit": commit, "bytes": size, "fetched": self._fetched},
            )
        folder = self._store.snapshot(self._repository, commit)
        return Pulled(self._wanted, commit, folder, len(files), size, self._fetched)

    def _listing(self) -> Listing:
        """A commit is what it is wherever that is known; what a branch is the farthest source knows best: the hub."""
        revision = self._wanted.revision_name
        if is_commit(revision):
            if (known := self._store.listing(self._repository, revision)) is not None:
                return known
            sources = list(self._sources)
        else:
            sources = list(reversed(self._sources))

        def ask(source: FileSource) -> Listing:
            listing = source.listing(self._repository, revision)
            if is_commit(revision) and listing.commit != revision:
                raise WeightsBroken(f"{source.name}: says {listing.commit} where {revision} was asked for")
            return listing

        try:
            return self._patiently(sources, ask, what=f"{self._repository} at {revision}")
        except (HubAway, WeightsMissing) as error:
            if (known := self._store.listing(self._repository, revision)) is None:
                raise
            log.warning("ai.revision_unknown", extra={"repository": self._repository, "error": str(error)})
            return known

    def _forget_spoilt(self, commit: str, files: Sequence[HubFile]) -> None:
        for file in files:
            self._check_wanted()
            if self._store.has(self._repository, commit, file) and not self._store.is_intact(
                self._repository, commit, file
            ):
                log.warning("ai.weights_spoilt", extra={"repository": self._repository, "file": file.path})
                self._store.forget(self._repository, commit, file)

    def _check_room(self, files: Sequence[HubFile], keep_free: int) -> int:
        """Bytes that must still come. Raises DiskFull where they would not fit."""
        needed = sum(file.size - self._store.partial_size(self._repository, file) for file in files)
        free = self._store.free()
        if needed and needed > free - keep_free:
            raise DiskFull(
                f"{self._repository} needs {_gb(needed)} more and {self._store.folder} has {_gb(free)} free, of which "
                f"{_gb(keep_free)} stay free; free {_gb(needed + keep_free - free)}, or move `duties.ai.weights.folder`"
            )
        return needed

    def _get_all(self, commit: str, files: Sequence[HubFile]) -> None:
        """The largest first, so that the last of them does not come alone. One that fails ends the others."""
        by_size = sorted(files, key=lambda file: file.size, reverse=True)
        with ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="weights") as pool:
            jobs = [pool.submit(self._get, commit, file) for file in by_size]
            try:
                wait(jobs, return_when=FIRST_EXCEPTION)
            finally:
                if not all(job.done() and job.exception() is None for job in jobs):
                    self._failed.set()
                    pool.shutdown(wait=True, cancel_futures=True)
        errors = [error for job in jobs if not job.cancelled() and (error := job.exception()) is not None]
        if errors:
            raise next((error for error in errors if not isinstance(error, _GivenUp)), errors[0])

    def _get(self, commit: str, file: HubFile) -> None:
        try:
            if self._store.take_from_other_commit(self._repository, commit, file):
                self._watcher.advanced(self._wanted, file.size)
                return
            with self._slot():
                self._patiently(
                    self._sources,
                    lambda source: self._grow(source, commit, file),
                    what=f"{self._repository}/{file.path}",
                    progress=lambda: self._store.partial_size(self._repository, file),
                )
            self._store.place(self._repository, commit, file)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                told = (
                    f"{self._store.folder} became full in the midst of {self._repository}/{file.path}; free some space"
                )
                raise DiskFull(told) from error
            raise SourceMissing(f"{self._store.folder}: {error.strerror or error}") from error

    @contextmanager
    def _slot(self) -> Iterator[None]:
        while not self._slots.acquire(timeout=_LOOK_S):
            self._check_wanted()
        try:
            yield
        finally:
            self._slots.release()

    def _grow(self, source: FileSource, commit: str, file: HubFile) -> None:
        """Have the whole file in its partial. Raises WeightsBroken where it is another; then nothing is left of it."""
        partial = self._store.partial(self._repository, file)
        partial.parent.mkdir(parents=True, exist_ok=True)
        start = self._store.partial_size(self._repository, file)
        digest = ContentHash(file)
        with partial.open("r+b" if start else "w+b") as stream:
            while chunk := stream.read(min(_CHUNK, start - stream.tell())):
                digest.update(chunk)
            if start < file.size:
                with source.open(self._repository, commit, file, start) as opened:
                    if opened.start not in {0, start}:
                        raise HubAway(f"{source.name}: {file.path} from byte {opened.start}, asked for {start}")
                    if opened.start != start:
                        self._watcher.advanced(self._wanted, -start)
                        start, digest = 0, ContentHash(file)
                        stream.seek(0)
                        stream.truncate()
                    for chunk in opened.chunks:
                        self._check_wanted()
                        start += len(chunk)
                        if start > file.size:
                            break
                        stream.write(chunk)
                        digest.update(chunk)
                        self._advance(len(chunk))
        if start < file.size:
            raise HubAway(f"{source.name}: {file.path} ended after {start} of {file.size} bytes")
        if start > file.size or not digest.is_right:
            self._watcher.advanced(self._wanted, -partial.stat().st_size)
            partial.unlink()
            what = f"more than {file.size} bytes" if start > file.size else f"hash {digest.found}"
            raise WeightsBroken(
                f"{source.name}: {file.path} is not what was announced: {what}, not {file.content_name}"
            )

    def _patiently(
        self,
        sources: Sequence[FileSource],
        ask: Callable[[FileSource], T],
        *,
        what: str,
        progress: Callable[[], int] = lambda: 0,
    ) -> T:
        """The first good answer. Raises an error that tells what each source said."""
        faults: list[SourceMissing] = []
        for source in sources:
            is_last = source is sources[-1]
            if source in self._gone and not is_last:
                continue
            try:
                return self._insistently(source, ask, progress, tries=self._patience.tries if is_last else 2)
            except _GivenUp:
                raise
            except HubAway as error:
                self._gone.append(source)
                faults.append(error)
            except (WeightsMissing, HubRefused, WeightsBroken) as error:
                faults.append(error)
        if not faults:
            raise WeightsMissing(f"{what} is not here, and the hub is not asked (`duties.ai.weights.offline`)")
        kind = next((type(fault) for fault in faults if isinstance(fault, HubAway)), type(faults[-1]))
        told = kind("; ".join(dict.fromkeys(map(str, faults))), retry_after_s=faults[-1].retry_after_s)
        raise told from faults[-1]

    def _insistently(
        self, source: FileSource, ask: Callable[[FileSource], T], progress: Callable[[], int], *, tries: int
    ) -> T:
        """Ask one source until it answers. Tries count from the last byte that came."""
        failed = broken = 0
        while True:
            self._check_wanted()
            before = progress()
            try:
                return ask(source)
            except WeightsBroken:
                broken += 1
                if broken >= 2:
                    raise
            except HubAway as error:
                failed = 1 if progress() > before else failed + 1
                if failed >= tries:
                    raise
                log.info("ai.weights_interrupted", extra={"repository": self._repository, "error": str(error)})
                pause = min(self._patience.first_pause_s * 2 ** (failed - 1), self._patience.longest_pause_s)
                self._pause(pause if error.retry_after_s is None else error.retry_after_s)

    def _pause(self, duration_s: float) -> None:
        until = time.monotonic() + duration_s
        while (left := until - time.monotonic()) > 0:
            self._check_wanted()
            self._stop.wait(min(left, _LOOK_S))

    def _check_wanted(self) -> None:
        if self._stop.is_set() or self._failed.is_set():
            raise _GivenUp(f"{self._repository}: stopped; what has come stays")

    def _advance(self, amount: int) -> None:
        with self._count:
            self._fetched += amount
        self._watcher.advanced(self._wanted, amount)


class _GivenUp(SourceMissing):
    """Nobody wants it any more, or another file of it has failed."""


def _gb(amount: int) -> str:
    return f"{amount / 10**9:.1f} GB" if amount >= 10**8 else f"{amount / 10**6:.1f} MB"
