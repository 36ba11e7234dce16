"""Fleets that exist only in memory, whose hosts change well or badly, and a conductor that can be cut off anywhere."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from livefleet.control.rollout import (
    BatchPlan,
    BatchRecord,
    Change,
    Changed,
    HostRecord,
    Member,
    Phase,
    RolloutRecord,
    Verdict,
)
from livefleet.spec import Role

TIERS = {Role.REDEEMER: 1, Role.KEYKEEPER: 1, Role.ORCHESTRATOR: 3, Role.WORKER: 4}


class CutOffError(Exception):
    """The operator's machine died."""


def a_member(name: str, role: Role = Role.WORKER, pool: str = "", groups: tuple[str, ...] = ()) -> Member:
    return Member(name, role, TIERS[role], pool or f"{role.value}s", groups)


def a_record(plan: BatchPlan, hosts: Collection[str], *, bake_s: float = 0.0) -> RolloutRecord:
    batches = tuple(BatchRecord(hosts=batch.hosts, canary=batch.canary) for batch in plan.batches)
    records = {name: HostRecord() for name in hosts}
    for name, why in plan.blocked.items():
        records[name] = HostRecord(phase=Phase.BLOCKED, text=why)
    return RolloutRecord(
        id="r1", fleet="f", operator="me@here", token="t", began_at=0.0, batches=batches,
        hosts=records, bake_s=bake_s,
    )  # fmt: skip


@dataclass
class FakeHosts:
    """Every host runs `old` or `new`; what goes wrong with which one is said beforehand."""

    members: Sequence[Member]
    refuses: Collection[str] = ()  # what is new does not get ready there: apply takes it back
    earns_nothing: Collection[str] = ()  # ready, and the smoke job fails
    stuck: Collection[str] = ()  # not reached while it is changed
    already: Collection[str] = ()  # as declared before
    drained_by_others: Collection[str] = ()
    down: set[str] = field(default_factory=set)
    runs: dict[str, str] = field(default_factory=dict)
    drained: set[str] = field(default_factory=set)
    most_away: Counter[str] = field(default_factory=Counter)  # by pool, while something was changed
    calls: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    cut_at: int = 0  # the so-manieth moment at which everything ends; 0: none
    stop_at: int = 0  # the so-manieth moment at which the operator asks for an end; 0: none
    lost: Collection[str] = ()  # cannot be put back into service
    in_the_middle: set[str] = field(default_factory=set)  # cut off in their change
    stopping: bool = False
    _moments: int = 0

    def __post_init__(self):
        self.runs = self.runs or {member.name: "old" for member in self.members}

    def moment(self):
        self._moments += 1
        if self._moments == self.cut_at:
            raise CutOffError
        if self._moments == self.stop_at:
            self.stopping = True

    def _begin(self, name: str, hosts: Collection[str]):
        self.moment()
        self.calls.append((name, tuple(hosts)))

    def empty(self, hosts):
        self._begin("empty", hosts)
        self.drained |= set(hosts)
        self.moment()
        return [name for name in hosts if name in self.drained_by_others]

    def change(self, hosts) -> Mapping[str, Changed]:
        self._begin("change", hosts)
        self._look(hosts)
        done = {}
        for name in hosts:
            was_stopping = self.stopping
            self.moment()  # some of the batch have changed, others have not
            if self.stopping:
                done[name] = Changed(Change.NOT_BEGUN if was_stopping else Change.CUT_OFF)
                self.in_the_middle |= set() if was_stopping else {name}
                continue
            self.in_the_middle.discard(name)
            if name in self.already or self.runs[name] == "new":
                self.down.discard(name)  # apply looks whether it is ready
                done[name] = Changed(Change.UNCHANGED)
            elif name in self.stuck:
                done[name] = Changed(Change.FAILED, "not reached")
            elif name in self.refuses:
                done[name] = Changed(Change.WENT_BACK, "not ready")
            else:
                self.runs[name] = "new"
                self.down.discard(name)
                done[name] = Changed(Change.CHANGED)
        self.moment()
        return done

    def serve(self, hosts):
        self._begin("serve", hosts)
        self.drained -= set(hosts)
        self.moment()

    def put_back(self, hosts):
        self._begin("put back", hosts)
        self.drained -= {*hosts} - {*self.lost}
        self.moment()
        return [name for name in hosts if name in self.lost]

    def prove(self, hosts):
        self._begin("prove", hosts)
        if self.stopping:
            return {name: Verdict(passed=False, text="cut off") for name in hosts}
        return {name: Verdict(name not in self.earns_nothing, "smoke") for name in hosts}

    def restore(self, hosts):
        self._begin("restore", hosts)
        self._look(hosts)
        done = {}
        for name in hosts:
            if self.stopping:
                break
            self.runs[name] = "old"
            self.moment()
            done[name] = Verdict(passed=True, text="went back")
        return done

    def _look(self, hosts):
        away = Counter(m.pool for m in self.members if m.name in {*hosts, *self.down})
        self.most_away |= away
