"""Carries a rollout through, batch by batch; everything is written down before it is done, so that it can be resumed.

Each step may be repeated. A host that was cut off while it was emptied, changed or proven begins again with emptying;
one that was going back goes back. Where it is only asked to stop, nothing new is begun, and hosts that were emptied and
not yet changed serve again before it ends.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from livefleet.control.proof import Verdict
from livefleet.control.rollout.record import BatchRecord, HostRecord, Phase, RolloutRecord
from livefleet.kernel import BadInput

__all__ = ["Change", "Changed", "HostWork", "conduct"]

_PUT_BACK: Final = "put back into service"
_STILL_EMPTY: Final = "could not be put back into service"


class Change(StrEnum):
    """What became of a host that was to be changed."""

    CHANGED = "changed"  # it runs what is new, and is ready
    UNCHANGED = "unchanged"
    WENT_BACK = "went back"  # it runs what it ran before
    LATER = "later"  # something of it waits for a declared window
    FAILED = "failed"
    NOT_BEGUN = "not begun"  # it was asked to stop before anything was changed there
    CUT_OFF = "cut off"  # it was asked to stop, and the host is in the middle


@dataclass(frozen=True, slots=True)
class Changed:
    """The same with words."""

    change: Change
    text: str = ""


class HostWork(Protocol):
    """What is done to hosts.

    Each method answers for every host that it was given, raises for none of them, and may be repeated. One that is
    under way when it is asked to stop ends within a bound.
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

    def put_back(self, hosts: Collection[str]) -> Collection[str]:
        """Take back what `empty` did; hosts where that cannot be are returned."""
        ...

    def prove(self, hosts: Collection[str]) -> Mapping[str, Verdict]:
        """Are they ready, and do they earn?"""
        ...

    def restore(self, hosts: Collection[str]) -> Mapping[str, Verdict]:
        """Let them run again what they ran before; those that were cut off in it have no verdict."""
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
    stop: Callable[[], bool] = lambda: False,
) -> RolloutRecord:
    """From where the record stands to the end of the rollout; ends early after the first batch with a bad host.

    `save` is called after each change of the record, `tell` for each host that stands otherwise. `back`: hosts that do
    not prove themselves go back. Once `stop` says so, nothing more is begun, and the record has no `ended`: it can be
    gone on with. The record is changed in place and returned.
    """
    _Conductor(record, work, save, tell, now, sleep, stop, back=back).run()
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
        stop: Callable[[], bool],
        *,
        back: bool,
    ) -> None:
        self._record = record
        self._work = work
        self._save = save
        self._tell = tell
        self._now = now
        self._sleep = sleep
        self._stop = stop
        self._back = back

    def run(self) -> None:
        record = self._record
        while record.next_batch < len(record.batches) and not record.ended:
            if self._stop():
                return
            batch = record.batches[record.next_batch]
            self._change(batch)
            is_baked = True
            if batch.canary and not self._is_bad(batch) and record.next_batch + 1 < len(record.batches):
                is_baked = self._bake(batch)
            if not is_baked or not all(record.hosts[name].phase.is_last for name in batch.hosts):
                self._save(record)  # only where it was asked to stop
                return
            record.bake_until = 0.0
            record.next_batch += 1
            record.ended = "stopped" if self._is_bad(batch) else ""
            self._save(record)
        record.ended = record.ended or "done"
        self._save(record)

    def _change(self, batch: BatchRecord) -> None:
        self._restore(self._those(batch, Phase.GOING_BACK))
        hosts = self._those(batch, Phase.WAITING, Phase.EMPTYING, Phase.CHANGING, Phase.PROVING)
        if not hosts or self._stop():
            return
        self._enter(hosts, Phase.EMPTYING)
        restarted = [name for name in hosts if self._record.hosts[name].restarts]
        for name in self._work.empty(restarted) if restarted else ():
            self._record.hosts[name].kept_empty = True
        if self._stop():
            self._put_back(hosts)
            return
        before = {name for name in hosts if self._record.hosts[name].begun}
        for name in hosts:
            self._record.hosts[name].begun = True
        self._enter(hosts, Phase.CHANGING)
        self._settle(self._changed(hosts, before), before)
        self._prove(self._those(batch, Phase.PROVING))

    def _changed(self, hosts: Collection[str], before: Collection[str]) -> Mapping[str, Changed]:
        try:
            return self._work.change(hosts)
        except BadInput:  # then nothing was changed anywhere
            self._settle(dict.fromkeys(hosts, Changed(Change.NOT_BEGUN)), before)
            raise

    def _settle(self, changed: Mapping[str, Changed], before: Collection[str]) -> None:
        """`before`: hosts whose change may have been begun earlier, by a rollout that was cut off."""
        ended = [name for name, found in changed.items() if found.change in _ENDS]
        # Not before it is written down that they serve again, or a cut would leave them empty.
        self._serve([name for name in ended if changed[name].change is not Change.FAILED])
        for name in ended:
            found = changed[name]
            is_unproven = found.change is Change.UNCHANGED and name in before
            self._set(name, Phase.PROVING if is_unproven else _ENDS[found.change], found.text)
        for name, found in changed.items():
            if found.change is Change.CUT_OFF:
                self._record.hosts[name].text = found.text
                self._tell(name, self._record.hosts[name])
        not_begun = [name for name, found in changed.items() if found.change is Change.NOT_BEGUN]
        for name in not_begun:
            self._record.hosts[name].begun = name in before
        self._put_back(not_begun)
        self._save(self._record)

    def _put_back(self, hosts: Collection[str]) -> None:
        emptied = self._emptied(hosts)
        left = self._work.put_back(emptied) if emptied else ()
        for name in hosts:
            if name in left:
                self._set(name, Phase.EMPTYING, _STILL_EMPTY)
            else:
                self._set(name, Phase.WAITING, _PUT_BACK if name in emptied else "")
        self._save(self._record)

    def _prove(self, hosts: Collection[str]) -> None:
        if self._stop():  # they serve; whoever goes on proves them
            return
        serving = [name for name in hosts if not self._record.hosts[name].kept_empty]
        verdicts = dict(self._work.prove(serving)) if serving else {}
        kept = Verdict(passed=True, text="changed, and kept empty as somebody asked before")
        failed = []
        for name in hosts:
            verdict = verdicts.get(name, kept)
            if verdict.passed:
                self._set(name, Phase.DONE, verdict.text)
            elif not self._stop():  # else it may be the job that was cut off
                self._set(name, Phase.GOING_BACK if self._back else Phase.FAILED, verdict.text)
                failed.append(name)
        self._save(self._record)
        if self._back:
            self._restore(failed)

    def _restore(self, hosts: Collection[str]) -> None:
        if not hosts or self._stop():
            return
        verdicts = self._work.restore(hosts)
        for name, verdict in verdicts.items():
            why = self._record.hosts[name].text
            self._set(name, Phase.WENT_BACK if verdict.passed else Phase.FAILED, f"{why}; {verdict.text}".strip("; "))
        self._serve(list(verdicts))
        self._save(self._record)

    def _bake(self, batch: BatchRecord) -> bool:
        """Whether they had their time and were looked at again."""
        record = self._record
        if not record.bake_until:
            record.bake_until = self._now() + record.bake_s
            self._save(record)
        left = record.bake_until - self._now()
        if left > 0:
            self._sleep(min(left, record.bake_s))
        self._prove(self._those(batch, Phase.DONE))
        return not self._stop()

    def _serve(self, hosts: Collection[str]) -> None:
        ours = self._emptied(hosts)
        if ours:
            self._work.serve(ours)

    def _emptied(self, hosts: Collection[str]) -> list[str]:
        """Those that this rollout empties."""
        return [n for n in hosts if self._record.hosts[n].restarts and not self._record.hosts[n].kept_empty]

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
