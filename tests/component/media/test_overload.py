"""More sessions than the machine has room for: some are served, the rest refused at once, none breaks."""

import asyncio
import random
import time

import pytest

from livefleet.kernel import ConditionBoard, SessionId, SystemClock
from livefleet.media import CPU, Cost, Device, LocalTranscoder, TranscodeError, pixels_per_s
from livefleet.media.inspection import inspect
from tests.builders.media import a_job, a_profile

pytestmark = pytest.mark.component

PATIENCE_S = 60


@pytest.fixture
def make(tmp_path):
    def build(*devices, **changes):
        clock = SystemClock()
        fields = {"run_dir": tmp_path / "media", "board": ConditionBoard(clock), "clock": clock}
        fields |= {"rng": random.Random(1), "ready_timeout_s": PATIENCE_S, "deadline_s": lambda _: PATIENCE_S}
        return LocalTranscoder(devices or (CPU,), **fields | changes)

    return build


def names(count):
    return [SessionId(f"s{number}") for number in range(count)]


async def outcome(transcoder, segment, session, sequence=0):
    try:
        return await transcoder.transcode(a_job(segment, session=session, sequence=sequence))
    except TranscodeError as error:
        return error


async def test_many_offered__as_many_as_fit_are_served_and_go_on_being_served(make, segment):
    held = 4
    each = Cost(cpu=1 / pixels_per_s([a_profile()]), place=0)  # one core a session
    async with make(Device("cpu", slots=2), cores=held / 0.8 + 0.1, pixel_costs={"cpu": each}) as transcoder:
        sessions = names(16)
        first = await asyncio.gather(*(outcome(transcoder, segment, session) for session in sessions))
        refused = [o for o in first if isinstance(o, TranscodeError)]
        assert {error.text for error in refused} == {"TranscoderBusy"}
        assert len(refused) == 16 - held
        inside = [s for s, o in zip(sessions, first, strict=True) if not isinstance(o, TranscodeError)]
        for sequence in (1, 2):
            others = [s for s in sessions if s not in inside]
            again = await asyncio.gather(
                *(outcome(transcoder, segment, session, sequence) for session in (*others[:4], *inside))
            )
            served = again[-len(inside) :]
            assert all(inspect(result.renditions[0].data).frames == 30 for result in served)
            inside += [s for s, o in zip(others[:4], again, strict=False) if not isinstance(o, TranscodeError)]
        assert transcoder.sessions == len(inside)


async def test_no_room__is_told_without_waiting_for_the_work_under_way(make, segment):
    huge = Cost(cpu=1, place=1)
    async with make(pixel_costs={"cpu": huge}) as transcoder, asyncio.TaskGroup() as group:
        working = group.create_task(outcome(transcoder, segment, "first"))
        await asyncio.sleep(0)
        began = time.monotonic()
        refused = [await outcome(transcoder, segment, session) for session in names(50)]
        assert not working.done(), f"50 refusals took {time.monotonic() - began:.3f} s, longer than a segment"
        assert {error.text for error in refused} == {"TranscoderBusy"}
    assert len(working.result().renditions) == 1


async def test_first_segment__replaces_what_was_assumed(make, segment):
    async with make(cores=8.0, pixel_costs={"cpu": Cost(cpu=1, place=1)}) as transcoder:
        assert transcoder.has_room([a_profile()]), "an empty machine takes anything"
        await transcoder.transcode(a_job(segment, session="first"))
        load = transcoder.load
        assert load.devices[0].is_measured
        assert 0 < load.cpu_used < load.cores, "a second of small video costs less than a second of all cores"
        assert transcoder.has_room()


async def test_open_session__holds_its_place_until_its_end(make, segment):
    async with make(max_sessions=1) as transcoder:
        assert transcoder.open_session(SessionId("a"), [a_profile()])
        assert transcoder.open_session(SessionId("a"), [a_profile()])
        assert not transcoder.open_session(SessionId("b"), [a_profile()])
        assert not transcoder.has_room([a_profile()])
        await transcoder.transcode(a_job(segment, session="a"))
        await transcoder.end_session(SessionId("a"))
        assert transcoder.open_session(SessionId("b"), [a_profile()])


async def test_one_session_sends_too_much__its_neighbour_is_served(make, segment):
    async with make(Device("cpu", slots=1), cores=100.0) as transcoder:
        flood = [outcome(transcoder, segment, "flood", n) for n in range(12)]
        *flooded, neighbour = await asyncio.gather(*flood, outcome(transcoder, segment, "neighbour"))
    assert [o.text for o in flooded if isinstance(o, TranscodeError)] == ["TranscoderBusy"] * 7
    assert len(neighbour.renditions) == 1
