"""Carries a rollout through, batch by batch; everything is written down before it is done, so that it can be resumed.

Each step may be repeated. A host that was cut off while it was emptied, changed or proven begins again with emptying;
one that was going back goes back.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from livefleet.control.rollout.record import BatchRecord, HostRecord, Phase, RolloutRecord

__all__ = ["Change", "Changed", "HostWork", "Verdict", "conduct"]


class Change(StrEnum):
    """What became of a host that was to be changed."""

    CHANGED = "changed"  # it runs what is new, and is ready
    UNCHANGED = "unchanged"
    WENT_BACK = "went back"  # it runs what it ran before
    LATER = "later"  # something of it waits for a declared window
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Changed:
    """The same with words."""

    change: Change
    text: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a host passed, and in which words."""

    passed: bool
    text: str = ""


class HostWork(Protocol):
    """What is done to hosts.

    Each method answers for every host that it was given, raises for none of them, and may be repeated.
    """

    def empty(self, hosts: Collection[str]) -> Collection[str]:
        """Let running work end or move, within a bound; those that somebody else had emptied before are returned."""
        ...

    def change(self, hosts: Collection[str]) -> Mapping[str, Changed]:
        """Bring them to what is declared, and back where that does not serve."""
        ...

    def serve(self, hosts: Collection[str]) -> None:
        """Take the emptying back."""
        ...

    def prove(self, hosts: Collection[str]) -> Mapping[str, Verdict]:
        """Are they ready, and do they earn?"""
        ...

    def restore(self, hosts: Collection[str]) -> Mapping[str, Verdict]:
        """Let them run again what they ran before."""
        ...


_ENDS = {
    Change.CHANGED: Phase.PROVING,
    Change.UNCHANGED: Phase.UNCHANGED,
    Change.WENT_BACK: Phase.WENT_BACK,
    Change.LATER: Phase.LATER,
    Change.FAILED: Phase.FAILED,
}


def conduct(
    record: RolloutRecord,
    work: HostWork,
    *,
    save: Callable[[RolloutRecord], None],
    tell: Callable[[str, HostRecord], None] = lambda _name, _host: None,
    back: bool = True,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> RolloutRecord:
    """From where the record stands to the end of the rollout; ends early after the first batch with a bad host.

    `save` is called after each change of the record, `tell` for each host that stands otherwise. `back`: hosts that do
    not prove themselves go back. The record is changed in place and returned.
    """
    _Conductor(record, work, save, tell, now, sleep, back=back).run()
    return record


class _Conductor:
    def __init__(
        self,
        record: RolloutRecord,
        work: HostWork,
        save: Callable[[RolloutRecord], None],
        tell: Callable[[str, HostRecord], None],
        now: Callable[[], float],
        sleep: Callable[[float], None],
        *,
        back: bool,
    ) -> None:
        self._record = record
        self._work = work
        self._save = save
        self._tell = tell
        self._now = now
        self._sleep = sleep
        self._back = back

    def run(self) -> None:
        record = self._record
        while record.next_batch < len(record.batches) and not record.ended:
            batch = record.batches[record.next_batch]
            self._change(batch)
            if batch.canary and not self._is_bad(batch) and record.next_batch + 1 < len(record.batches):
                self._bake(batch)
            record.bake_until = 0.0
            record.next_batch += 1
            record.ended = "stopped" if self._is_bad(batch) else ""
            self._save(record)
        record.ended = record.ended or "done"
        self._save(record)

    def _change(self, batch: BatchRecord) -> None:
        self._restore(self._those(batch, Phase.GOING_BACK))
        hosts = self._those(batch, Phase.WAITING, Phase.EMPTYING, Phase.CHANGING, Phase.PROVING)
        if not hosts:
            return
        self._enter(hosts, Phase.EMPTYING)
        restarted = [name for name in hosts if self._record.hosts[name].restarts]
        for name in self._work.empty(restarted) if restarted else ():
            self._record.hosts[name].kept_empty = True
        self._enter(hosts, Phase.CHANGING)
        changed = self._work.change(hosts)
        # Not before it is written down that they serve again, or a cut would leave them empty.
        self._serve([name for name in hosts if changed[name].change is not Change.FAILED])
        for name in hosts:
            self._set(name, _ENDS[changed[name].change], changed[name].text)
        self._save(self._record)
        self._prove(self._those(batch, Phase.PROVING))

    def _prove(self, hosts: Collection[str]) -> None:
        serving = [name for name in hosts if not self._record.hosts[name].kept_empty]
        verdicts = dict(self._work.prove(serving)) if serving else {}
        kept = Verdict(passed=True, text="changed, and kept empty as somebody asked before")
        failed = []
        for name in hosts:
            verdict = verdicts.get(name, kept)
            if verdict.passed:
                self._set(name, Phase.DONE, verdict.text)
            else:
                self._set(name, Phase.GOING_BACK if self._back else Phase.FAILED, verdict.text)
                failed.append(name)
        self._save(self._record)
        if self._back:
            self._restore(failed)

    def _restore(self, hosts: Collection[str]) -> None:
        if not hosts:
            return
        for name, verdict in self._work.restore(hosts).items():
            why = self._record.hosts[name].text
            self._set(name, Phase.WENT_BACK if verdict.passed else Phase.FAILED, f"{why}; {verdict.text}".strip("; "))
        self._serve(hosts)
        self._save(self._record)

    def _bake(self, batch: BatchRecord) -> None:
        record = self._record
        if not record.bake_until:
            record.bake_until = self._now() + record.bake_s
            self._save(record)
        left = record.bake_until - self._now()
        if left > 0:
            self._sleep(min(left, record.bake_s))
        self._prove(self._those(batch, Phase.DONE))

    def _serve(self, hosts: Collection[str]) -> None:
        ours = [n for n in hosts if self._record.hosts[n].restarts and not self._record.hosts[n].kept_empty]
        if ours:
            self._work.serve(ours)

    def _those(self, batch: BatchRecord, *phases: Phase) -> list[str]:
        return [name for name in batch.hosts if self._record.hosts[name].phase in phases]

    def _is_bad(self, batch: BatchRecord) -> bool:
        return any(self._record.hosts[name].phase.is_bad for name in batch.hosts)

    def _enter(self, hosts: Collection[str], phase: Phase) -> None:
        for name in hosts:
            self._set(name, phase, "")
        self._save(self._record)

    def _set(self, name: str, phase: Phase, text: str) -> None:
        host = self._record.hosts[name]
        is_news = host.phase is not phase
        host.phase, host.text = phase, text
        if is_news:
            self._tell(name, host)
