import gc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.kernel import Refused
from livefleet.wire.server.source_memory import SourceMemory, usable_memory

pytestmark = pytest.mark.unit


def test_source__taken_in_parts__is_whole_and_counted_while_somebody_holds_it():
    memory = SourceMemory(100)
    source = memory.begin()
    source.take(b"ab")
    source.take(b"cd")
    assert memory.held == 4
    assert source.whole() == b"abcd"
    assert memory.held == 4
    del source
    assert memory.held == 0


def test_source__no_room__is_refused_and_let_go():
    memory = SourceMemory(10)
    source = memory.begin()
    source.take(b"12345678")
    with pytest.raises(Refused, match=r"^OrchestratorBusy$"):
        source.take(b"901")
    assert memory.held == 0
    with pytest.raises(Refused):
        source.whole()


def test_source__a_larger_one_is_still_read__that_gives_way():
    memory = SourceMemory(100)
    large, small = memory.begin(), memory.begin()
    large.take(bytes(90))
    small.take(bytes(20))
    assert memory.held == 20
    with pytest.raises(Refused, match="OrchestratorBusy"):
        large.take(b"1")
    assert small.whole() == bytes(20)


def test_source__complete__gives_way_to_nobody():
    memory = SourceMemory(100)
    done, late = memory.begin(), memory.begin()
    done.take(bytes(90))
    done.whole()
    with pytest.raises(Refused):
        late.take(bytes(20))
    assert memory.held == 90


def test_source__counted_elsewhere__is_bounded_too():
    memory = SourceMemory(100)
    fetched = memory.begin()
    fetched.count(100)
    fetched.stop()
    with pytest.raises(Refused):
        fetched.count(1)
    assert memory.held == 0


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["take", "whole", "drop"]), st.integers(0, 70)), max_size=40)
)
def test_memory__any_course_of_events__never_more_than_the_limit_and_exact(events):
    memory = SourceMemory(100)
    sources = {}
    for who, what, size in events:
        source = sources.setdefault(who, memory.begin())
        try:
            if what == "take":
                source.take(bytes(size))
            elif what == "whole":
                source.whole()
            else:
                del sources[who]
        except Refused:
            assert source.size == 0
        del source
        assert memory.held == sum(source.size for source in sources.values()) <= 100
    sources.clear()
    gc.collect()
    assert memory.held == 0


def test_usable_memory__this_machine__is_no_more_than_it_has():
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert 0 < usable_memory() <= total


def test_limit__left_open__takes_one_source_of_any_allowed_size():
    assert SourceMemory().limit >= 300_000_000
