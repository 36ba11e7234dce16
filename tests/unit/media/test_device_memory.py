"""Streams' share of a GPU in the book that models are in as well."""

from collections.abc import Collection
from pathlib import Path

import pytest

from livefleet.hardware import Claim, MemoryReading, NoMemory, VramLedger
from livefleet.kernel import ConditionBoard, SessionId, SystemClock
from livefleet.media import NO_LIMIT, LocalTranscoder
from livefleet.media.device import CPU, Device, DeviceKind
from livefleet.media.device_memory import SESSION_BYTES, TranscodingMemory
from livefleet.media.models import Profile

pytestmark = pytest.mark.unit

GPU = Device("GPU-aaaaaaaa-0000-0000-0000-000000000001", DeviceKind.NVIDIA)


class ThreeStreams:
    """A device with room for three."""

    def __init__(self) -> None:
        self.by_process: dict[int, int] = {}

    def of(self, device: str, pids: Collection[int]) -> MemoryReading:
        return MemoryReading(3 * SESSION_BYTES, sum(self.by_process.values()), dict(self.by_process))

    async def look(self) -> None: ...


class IdleModel:
    gave_way = False

    def idle_since(self) -> float:
        return 0.0

    def give_way(self, to: str) -> None:
        self.gave_way = True


def test_streams__as_many_as_fit__are_booked_and_given_back():
    ledger = VramLedger(ThreeStreams())
    memory = TranscodingMemory(ledger, [GPU, CPU])
    assert [memory.take(GPU.id) for _ in range(4)] == [True, True, True, False]
    assert not memory.has_room(GPU.id)
    assert memory.take(CPU.id)  # RAM is not booked
    memory.follow({GPU.id: 1}, {GPU.id: None})
    assert memory.has_room(GPU.id)
    assert ledger.free(GPU.id) == 2 * SESSION_BYTES
    memory.close()
    assert ledger.free(GPU.id) == 3 * SESSION_BYTES


async def test_streams__an_idle_model_is_in_the_way__it_gives_way_and_the_stream_waits_for_it():
    ledger, model = VramLedger(ThreeStreams()), IdleModel()
    memory = TranscodingMemory(ledger, [GPU])
    lease = ledger.lease(GPU.id, "model", 3 * SESSION_BYTES, claim=Claim.WARM_MODEL, holder=model)
    assert memory.has_room(GPU.id)
    assert not model.gave_way
    assert memory.take(GPU.id)
    assert model.gave_way
    lease.release()
    await memory.ready(GPU.id)
    await memory.ready(CPU.id)


def test_streams__their_process_holds_more_than_booked__a_load_gets_what_is_left():
    seen = ThreeStreams()
    ledger = VramLedger(seen)
    memory = TranscodingMemory(ledger, [GPU])
    seen.by_process = {7: 2 * SESSION_BYTES}
    memory.follow({GPU.id: 1}, {GPU.id: 7})
    with pytest.raises(NoMemory):
        ledger.lease(GPU.id, "model", SESSION_BYTES + 1, claim=Claim.WARM_MODEL)
    ledger.lease(GPU.id, "model", SESSION_BYTES, claim=Claim.WARM_MODEL)
    # A stream that moved here is here, whether it fits or not.
    memory.follow({GPU.id: 5}, {GPU.id: 7})
    assert ledger.free(GPU.id, Claim.TRANSCODING) == -3 * SESSION_BYTES


async def test_transcoder__gpu_has_memory_for_one_more_stream__takes_one_until_it_ends(tmp_path: Path):
    clock, ledger = SystemClock(), VramLedger(ThreeStreams())
    transcoder = LocalTranscoder(
        [GPU], run_dir=tmp_path, board=ConditionBoard(clock), clock=clock, max_load=NO_LIMIT, ledger=ledger
    )
    ladder = (Profile("p240", 426, 240, 250_000, 30),)
    model = ledger.lease(GPU.id, "busy", 2 * SESSION_BYTES, claim=Claim.COLD_MODEL)
    assert transcoder.has_room(ladder)
    assert transcoder.open_session(SessionId("a"), ladder)
    assert not transcoder.has_room(ladder)
    assert not transcoder.open_session(SessionId("b"), ladder)
    assert transcoder.sessions == 1
    await transcoder.end_session(SessionId("a"))
    assert transcoder.open_session(SessionId("b"), ladder)
    model.release()
    assert transcoder.open_session(SessionId("a"), ladder)
    assert [lease.booked for lease in ledger.book_of(GPU.id).leases] == [2 * SESSION_BYTES]
