"""One operator's rollout on one fleet: locked, planned, carried out, written down; or resumed, or forgotten."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from livefleet.control.drain import DrainRequest, HostDrain, drain_fleet
from livefleet.control.events import Event
from livefleet.control.journal import Deed, append_deed, state_folder
from livefleet.control.lock import Holder, HostLocks, LockState
from livefleet.control.rollout.batches import plan_batches
from livefleet.control.rollout.conduct import conduct
from livefleet.control.rollout.record import (
    BatchRecord,
    HostRecord,
    Phase,
    RolloutRecord,
    load_record,
    save_record,
)
from livefleet.control.rollout.survey import Survey, survey
from livefleet.control.rollout.work import FleetWork, WorkSettings
from livefleet.control.smoke import Smoke
from livefleet.control.stop import Stop
from livefleet.kernel import BadInput, OutsideWorld
from livefleet.spec import Fleet, RolloutSettings

__all__ = ["RolloutRequest", "RolloutSession", "Watcher"]


@dataclass(frozen=True, slots=True)
class RolloutRequest:
    """What is wanted."""

    settings: RolloutSettings
    hosts: tuple[str, ...] = ()  # none: all
    parallel: int = 20
    keep_failed: bool = False


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who is told what happens, from one thread at a time."""

    on_event: Callable[[Event], None] = lambda _: None
    on_drain: Callable[[HostDrain], None] = lambda _: None
    on_host: Callable[[str, HostRecord], None] = lambda _name, _host: None


class RolloutSession:
    """`smoke_for` gives the paid job for these hosts, or None where none is tried; it raises BadInput early."""

    def __init__(
        self,
        fleet: Fleet,
        checkout: Path,
        operator: str,
        watcher: Watcher,
        smoke_for: Callable[[Sequence[str]], Smoke | None],
    ) -> None:
        self._fleet = fleet
        self._checkout = checkout
        self._operator = operator
        self._watcher = watcher
        self._smoke_for = smoke_for
        self._path = state_folder(fleet) / "rollout.json"
        self.journal = state_folder(fleet) / "journal.jsonl"

    @staticmethod
    def new_token() -> str:
        """A new rollout's word on the locks of its hosts."""
        return secrets.token_hex(8)

    def unfinished(self) -> RolloutRecord | None:
        """The rollout that was cut off before its end, if there is one."""
        record = load_record(self._path)
        return record if record is not None and not record.ended else None

    def plan(self, request: RolloutRequest, token: str = "") -> RolloutRecord:
        """Look at the hosts and say what would be done in which order. Nothing is changed and nothing is written."""
        found = survey(
            self._fleet,
            request.hosts,
            checkout=self._checkout,
            parallel=request.parallel,
            on_event=self._watcher.on_event,
        )
        plan = plan_batches(found.members, found.changes, found.down, request.settings, at_once=request.parallel)
        return RolloutRecord(
            id=f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}",
            fleet=self._fleet.name,
            operator=self._operator,
            token=token or self.new_token(),
            began_at=time.time(),
            batches=tuple(BatchRecord(hosts=batch.hosts, canary=batch.canary) for batch in plan.batches),
            hosts=_hosts(found, plan.blocked),
            bake_s=request.settings.bake_s,
        )

    @contextmanager
    def locked(self, hosts: Sequence[str], token: str, *, by_force: bool = False) -> Iterator[HostLocks]:
        """The hosts under this operator's lock while the block runs; hosts that are not reached are left out.

        Raises OutsideWorld when somebody else holds one of them; none is then held.
        """
        locks = HostLocks(self._fleet, Holder(self._operator, token))
        try:
            taken = locks.take(hosts, by_force=by_force)
            if held := [f"{lock.host}: {lock.text}" for lock in taken if lock.state is LockState.HELD]:
                raise OutsideWorld(
                    "another operator is at work:\n  " + "\n  ".join(held) + "\nwait, or --break-lock if nobody is"
                )
            with locks.kept([lock.host for lock in taken if lock.state is LockState.OURS]):
                yield locks
        finally:
            locks.release(hosts)

    def carry_out(
        self, record: RolloutRecord, request: RolloutRequest, locks: HostLocks, stop: Stop | None = None
    ) -> RolloutRecord:
        """From where the record stands to the end; a cut leaves on the disk how far it came.

        Once `stop` is asked for, hosts that were only emptied serve again, and the record comes back without an end.
        """
        stop = stop or Stop()
        pending = [name for name, host in record.hosts.items() if not host.phase.is_last]
        smoke = self._smoke_for(pending) if request.settings.smoke and pending else None
        settings = WorkSettings(
            record.id, record.token, request.settings.drain_s, request.parallel, keep_failed=request.keep_failed
        )
        work = FleetWork(
            self._fleet,
            self._checkout,
            settings,
            locks,
            smoke,
            on_event=self._watcher.on_event,
            on_drain=self._watcher.on_drain,
            stop=stop,
        )
        self._save(record)
        self._note(record, "begun")
        conduct(
            record,
            work,
            save=self._save,
            tell=self._told(record),
            back=not request.keep_failed,
            sleep=stop.sleep,
            stop=lambda: stop.is_asked,
        )
        self._note(record, record.ended or "interrupted")
        return record

    def resumable(self, record: RolloutRecord, request: RolloutRequest) -> None:
        """Raises BadInput when what is declared, or the release, is no longer what the rollout began with."""
        left = tuple(name for name, host in record.hosts.items() if not host.phase.is_last)
        if not left:
            return
        missing = [name for name in left if name not in self._fleet.hosts]
        found = survey(
            self._fleet,
            tuple(name for name in left if name not in missing),
            checkout=self._checkout,
            parallel=request.parallel,
            on_event=self._watcher.on_event,
        )
        other = [n for n in left if n in found.wanted and found.wanted[n] != record.hosts[n].wanted]
        if missing or other:
            raise BadInput(
                f"{(missing or other)[0]} is to run something else than when rollout {record.id} began: put the fleet"
                " file and the release back and resume, or `--forget` that rollout and begin a new one"
            )

    def forget(self, record: RolloutRecord, *, parallel: int = 20) -> None:
        """End it where it stands: hosts that it had emptied serve again, its locks are given back."""
        emptied = record.in_phase(Phase.EMPTYING, Phase.CHANGING, Phase.PROVING, Phase.GOING_BACK)
        ours = [n for n in emptied if n in self._fleet.hosts and not record.hosts[n].kept_empty]
        if ours:
            request = DrainRequest(off=True, wait=False)
            drain_fleet(self._fleet, ours, request, on_change=self._watcher.on_drain, parallel=parallel)
        known = [name for name in record.hosts if name in self._fleet.hosts]
        HostLocks(self._fleet, Holder(self._operator, record.token)).release(known)
        record.ended = "forgotten"
        self._save(record)
        self._note(record, record.ended)

    def _save(self, record: RolloutRecord) -> None:
        save_record(self._path, record)

    def _told(self, record: RolloutRecord) -> Callable[[str, HostRecord], None]:
        def tell(name: str, host: HostRecord) -> None:
            is_put_back = host.phase is Phase.WAITING
            if host.phase.is_last or is_put_back or host.phase in (Phase.CHANGING, Phase.GOING_BACK):
                self._note(record, host.phase.value, name, host)
            self._watcher.on_host(name, host)

        return tell

    def _note(self, record: RolloutRecord, outcome: str, name: str = "", host: HostRecord | None = None) -> None:
        digest, _, release = (host.wanted if host else "").partition(" ")
        append_deed(
            self.journal,
            Deed(
                at=round(time.time(), 3),
                who=self._operator,
                action=f"rollout {record.id}",
                outcome=outcome,
                host=name,
                after=release,
                digest=digest,
                text=host.text.splitlines()[0] if host and host.text else "",
            ),
        )


def _hosts(found: Survey, blocked: Mapping[str, str]) -> dict[str, HostRecord]:
    """Every chosen host, in the fleet's order."""
    hosts: dict[str, HostRecord] = {}
    for member in found.members:
        name = member.name
        wanted = found.wanted.get(name, "")
        if name in found.refused:
            hosts[name] = HostRecord(phase=Phase.BLOCKED, text=found.refused[name], wanted=wanted)
        elif name in blocked:
            hosts[name] = HostRecord(phase=Phase.BLOCKED, text=blocked[name], wanted=wanted)
        elif name in found.unchanged:
            hosts[name] = HostRecord(phase=Phase.UNCHANGED, wanted=wanted)
        elif name in found.changes:
            hosts[name] = HostRecord(text=found.changes[name], restarts=name in found.restarts, wanted=wanted)
    return hosts
