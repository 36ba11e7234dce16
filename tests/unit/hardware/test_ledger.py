"""The book of a device's memory, over readings that a test makes up."""

import asyncio
from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.hardware import Claim, Lease, MemoryReading, NoMemory, VramLedger

pytestmark = pytest.mark.unit

GPU = "GPU-aaaaaaaa-0000-0000-0000-000000000001"
COLD, WARM, LIVE = Claim.COLD_MODEL, Claim.WARM_MODEL, Claim.TRANSCODING


class MadeUpMemory:
    def __init__(self, total: int = 100, used: int = 0, by_process: dict[int, int] | None = None) -> None:
        self.total, self.used, self.by_process = total, used, by_process or {}

    def of(self, device: str, pids: Collection[int]) -> MemoryReading:
        return MemoryReading(self.total, self.used, {p: self.by_process[p] for p in pids if p in self.by_process})

    async def look(self) -> None: ...


class Model:
    """Holds a lease, idle since `since` unless None, and notes for whom it gives way."""

    def __init__(self, ledger: VramLedger, amount: int, *, since: float | None = 0.0, claim=COLD, priority=0, name="m"):
        self.since, self.gave_way_to = since, []
        self.lease = ledger.lease(GPU, name, amount, claim=claim, priority=priority, holder=self)

    def idle_since(self) -> float | None:
        return self.since

    def give_way(self, to: str) -> None:
        self.gave_way_to.append(to)


def a_ledger(headroom: int = 0, **memory: object) -> VramLedger:
    return VramLedger(MadeUpMemory(**memory), headroom=lambda _: headroom)


def ask(ledger: VramLedger, amount: int, claim: Claim = COLD, priority: int = 0) -> Lease:
    return ledger.lease(GPU, "new", amount, claim=claim, priority=priority)


def test_lease__fits_exactly__is_granted_and_the_next_byte_is_refused():
    ledger = a_ledger()
    ask(ledger, 100)
    with pytest.raises(NoMemory) as refused:
        ask(ledger, 1)
    assert (refused.value.text, refused.value.status) == ("insufficient capacity", 503)
    assert (refused.value.wanted, refused.value.free) == (1, 0)


def test_lease__headroom__is_for_transcoding_only():
    ledger = a_ledger(headroom=30)
    with pytest.raises(NoMemory):
        ask(ledger, 71)
    ask(ledger, 70)
    assert ask(ledger, 30, LIVE).booked == 30


def test_lease__streams_hold_more_than_the_headroom__models_get_less():
    ledger = VramLedger(memory := MadeUpMemory(used=50, by_process={7: 50}), headroom=lambda _: 30)
    streams = ask(ledger, 10, LIVE)
    streams.pids.add(7)
    assert ledger.free(GPU) == 50
    memory.used = memory.by_process[7] = 10
    assert ledger.free(GPU) == 70


def test_lease__a_load__never_displaces_streams():
    ledger = a_ledger()
    streams = Model(ledger, 60, claim=LIVE)
    for claim in Claim:
        with pytest.raises(NoMemory):
            ask(ledger, 50, claim, priority=9)
    assert streams.gave_way_to == []


def test_lease__stream_starts__idle_models_give_way_cold_ones_first():
    ledger = a_ledger()
    warm, cold = Model(ledger, 50, claim=WARM), Model(ledger, 50)
    ask(ledger, 40, LIVE)
    assert (warm.gave_way_to, cold.gave_way_to) == ([], ["new"])
    ask(ledger, 40, LIVE)
    assert warm.gave_way_to == ["new"]


def test_lease__cold_model__never_displaces_a_warm_or_a_busy_one():
    ledger = a_ledger()
    warm, busy = Model(ledger, 50, claim=WARM), Model(ledger, 50, since=None)
    with pytest.raises(NoMemory):
        ask(ledger, 10, COLD, priority=9)
    assert (warm.gave_way_to, busy.gave_way_to) == ([], [])


def test_lease__warm_model__displaces_cold_ones_of_any_priority():
    ledger = a_ledger()
    cold = Model(ledger, 100, priority=9)
    ask(ledger, 10, WARM)
    assert cold.gave_way_to == ["new"]


def test_lease__cold_ones_of_several_worths__priority_then_recency_decide():
    ledger = a_ledger()
    dear = Model(ledger, 30, priority=2, since=1)
    fresh = Model(ledger, 30, since=9)
    stale = Model(ledger, 30, since=3)
    ask(ledger, 30, priority=1)
    assert (dear.gave_way_to, fresh.gave_way_to, stale.gave_way_to) == ([], [], ["new"])
    ask(ledger, 40, priority=1)
    assert (dear.gave_way_to, fresh.gave_way_to) == ([], ["new"])
    with pytest.raises(NoMemory):
        ask(ledger, 10, priority=1)


def test_lease__one_large_enough_alone__spares_the_small_ones_before_it():
    ledger = a_ledger()
    small, large = Model(ledger, 10, since=1), Model(ledger, 90, since=2)
    ask(ledger, 85)
    assert (small.gave_way_to, large.gave_way_to) == ([], ["new"])


def test_lease__even_all_idle_ones_would_not_do__nobody_leaves():
    ledger = a_ledger(used=20)
    idle = Model(ledger, 50)
    with pytest.raises(NoMemory):
        ask(ledger, 90)
    assert idle.gave_way_to == []
    assert not idle.lease.is_leaving


def test_strangers__their_memory__is_nobodys():
    ledger = VramLedger(memory := MadeUpMemory(used=70, by_process={1: 30, 2: 40}))
    model = ask(ledger, 30)
    model.pids.add(1)
    book = ledger.book_of(GPU)
    assert (book.strangers, book.free_to_models) == (40, 30)
    memory.used = 120  # more than there is: who holds keeps
    assert ledger.free(GPU) == -20
    with pytest.raises(NoMemory):
        ask(ledger, 1)
    model.grow(0)


def test_held__more_than_booked__counts():
    ledger = a_ledger(used=60, by_process={1: 60})
    model = ask(ledger, 30)
    model.pids.add(1)
    assert ledger.free(GPU) == 40
    model.grow(30)  # what it holds already costs nothing more
    assert ledger.free(GPU) == 40
    with pytest.raises(NoMemory):
        model.grow(41)
    assert model.booked == 60


def test_held__not_told_by_process__is_what_was_reported():
    ledger = a_ledger(used=30)
    model = ask(ledger, 30)
    assert ledger.free(GPU) == 40  # twice: as booked and as a stranger's
    model.report(30)
    assert ledger.free(GPU) == 70


def test_release__twice__gives_back_once():
    ledger = a_ledger()
    with ask(ledger, 60) as lease:
        assert ledger.free(GPU) == 40
    lease.release()
    assert ledger.free(GPU) == 100


async def test_ready__somebody_has_to_leave__waits_until_it_has():
    ledger = VramLedger(memory := MadeUpMemory())
    old = Model(ledger, 80)
    old.lease.pids.add(1)
    memory.used, memory.by_process = 80, {1: 80}
    new = ask(ledger, 50)
    waits = asyncio.create_task(new.ready(60))
    # What is promised on is not granted twice, and whoever comes later waits for it as well.
    late = ask(ledger, 30)
    assert late.awaits == {old.lease}
    with pytest.raises(NoMemory):
        ask(ledger, 30)
    await asyncio.sleep(0)
    assert not waits.done()
    memory.used, memory.by_process = 0, {}
    await old.lease.seen_free()
    old.lease.release()
    await waits
    assert ledger.free(GPU) == 20


async def test_ready__it_does_not_leave__is_refused_by_name():
    ledger = a_ledger()
    Model(ledger, 80, name="stubborn")
    new = ask(ledger, 50)
    with pytest.raises(NoMemory, match=r"waits on .* for the memory of stubborn, not free within 0 s"):
        await new.ready(0)
    new.release()


async def test_seen_free__driver_never_lets_go__gives_up_and_counts_it_as_a_strangers():
    ledger = VramLedger(memory := MadeUpMemory())
    dead = ask(ledger, 80)
    dead.pids.add(1)
    memory.used, memory.by_process = 80, {1: 80}
    await dead.seen_free(0)
    dead.release()
    assert ledger.free(GPU) == 20


def test_could__says_what_lease_would_do_and_changes_nothing():
    ledger = a_ledger()
    idle = Model(ledger, 80)
    assert ledger.could(GPU, "x", 100, claim=WARM)
    assert not ledger.could(GPU, "x", 101, claim=WARM)
    assert idle.gave_way_to == []


asks = st.tuples(st.sampled_from(list(Claim)), st.integers(0, 60), st.integers(0, 3), st.booleans())


@given(st.lists(st.one_of(asks, st.integers(0, 30)), max_size=30), st.integers(0, 60), st.integers(0, 60))
def test_book__any_asks_and_releases__promises_hold(steps: list[tuple | int], headroom: int, used: int):
    ledger = a_ledger(headroom=headroom, used=used)
    held: list[Model] = []
    for step in steps:
        before = [lease.booked for lease in ledger._leases]
        if isinstance(step, int):
            if held:
                held.pop(step % len(held)).lease.release()
            continue
        claim, amount, priority, idle = step
        try:
            held.append(Model(ledger, amount, claim=claim, priority=priority, since=0.0 if idle else None))
        except NoMemory:
            assert [lease.booked for lease in ledger._leases] == before
        staying = [m for m in held if not m.lease.is_leaving]
        models = sum(m.lease.booked for m in staying if m.lease.claim is not LIVE)
        streams = sum(m.lease.booked for m in staying if m.lease.claim is LIVE)
        assert models + streams + used <= 100 or not staying or models + streams == 0
        if amount and held and held[-1].lease.claim is not LIVE and held[-1].lease in ledger._leases[len(before) :]:
            assert models + max(streams, headroom) + used <= 100
        assert all(len(m.gave_way_to) <= 1 for m in held)
        assert not any(m.gave_way_to for m in held if m.since is None or m.lease.claim is LIVE)
    for model in held:
        model.lease.release()
    assert ledger.free(GPU, LIVE) == 100 - used
