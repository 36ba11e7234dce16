"""Reports of the driver: each once, however it came, and bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.hardware import OTHER_CODES, XidEvent, XidLog, XidSource
from livefleet.hardware.xids import same_bus

pytestmark = pytest.mark.unit

A, B = "GPU-a", "GPU-b"
BUS = "00000000:01:00.0"


def an_event(code=79, at=1000.0, uuid=A, bus=BUS, text=""):
    return XidEvent(uuid, bus, code, at, text)


def test_report__told_by_both__counts_once_and_gets_the_log_s_words():
    xids, heard = XidLog(), []
    xids.on_event(heard.append)
    assert xids.add(an_event(at=1000.0), XidSource.NVML)
    assert not xids.add(an_event(at=1000.4, text="GPU has fallen off the bus."), XidSource.KERNEL_LOG)
    assert xids.of(A).counts == {79: 1}
    assert xids.of(A).last == an_event(at=1000.0, text="GPU has fallen off the bus.")
    assert heard == [an_event(at=1000.0)]


def test_report__the_log_comes_first__counts_once():
    xids = XidLog()
    assert xids.add(an_event(text="words"), XidSource.KERNEL_LOG)
    assert not xids.add(an_event(at=1003.0), XidSource.NVML)
    assert xids.of(A).counts == {79: 1}
    assert xids.of(A).last.text == "words"


def test_report__twice_by_one_source__counts_twice():
    xids = XidLog()
    assert xids.add(an_event(), XidSource.NVML)
    assert xids.add(an_event(), XidSource.NVML)
    assert not xids.add(an_event(), XidSource.KERNEL_LOG)
    assert not xids.add(an_event(), XidSource.KERNEL_LOG)
    assert xids.of(A).counts == {79: 2}


@pytest.mark.parametrize(
    "other", [an_event(code=48), an_event(uuid=B), an_event(at=1011.0)], ids=["code", "device", "much later"]
)
def test_report__of_something_else__is_another(other):
    xids = XidLog()
    assert xids.add(an_event(), XidSource.NVML)
    assert xids.add(other, XidSource.KERNEL_LOG)


def test_settle__keeps_the_counts_and_ends_the_last_report():
    xids = XidLog()
    xids.add(an_event(at=1000.0), XidSource.NVML)
    xids.settle(A, 1500.0)
    settled = xids.of(A)
    assert (settled.counts, settled.last, settled.settled_at) == ({79: 1}, None, 1500.0)
    xids.add(an_event(at=1600.0), XidSource.NVML)
    assert xids.of(A).last.at == 1600.0
    assert xids.of(A).counts == {79: 2}


def test_settle__device_without_reports__is_nothing():
    xids = XidLog()
    xids.settle(A, 1500.0)
    assert xids.all() == {}


def test_history__reports_of_before_the_start__last_is_the_latest_whatever_came_first():
    xids = XidLog()
    xids.add(an_event(code=31, at=2000.0), XidSource.NVML)
    xids.add(an_event(code=79, at=500.0), XidSource.KERNEL_LOG)
    assert xids.of(A).last.code == 31
    assert [event.code for event in xids.since(0.0)] == [79, 31]
    assert [event.code for event in xids.since(500.1, A)] == [31]
    assert xids.since(0.0, B) == ()


@pytest.mark.parametrize("code", [-1, 0, 1000, 2**64 - 1])
def test_code__nonsense__is_counted_as_other(code):
    xids = XidLog()
    xids.add(an_event(code=code), XidSource.NVML)
    assert xids.of(A).counts == {OTHER_CODES: 1}


def test_bounds__codes_devices_and_events():
    xids = XidLog()
    for code in range(1, 901):
        xids.add(an_event(code=code, at=1000.0 + code * 100), XidSource.NVML)
    assert len(xids.of(A).counts) == 65
    assert sum(xids.of(A).counts.values()) == 900
    assert len(xids.since(0.0)) == 256
    for number in range(200):
        xids.add(an_event(uuid=f"GPU-{number}"), XidSource.NVML)
    assert len(xids.all()) == 64
    assert "GPU-199" in xids.all()
    assert A not in xids.all()


def test_name__what_was_known_by_its_bus__is_the_device_s():
    xids = XidLog()
    xids.add(an_event(uuid="", bus="0000:01:00", code=79), XidSource.KERNEL_LOG)
    xids.add(an_event(uuid="", bus="0000:02:00", code=31), XidSource.KERNEL_LOG)
    assert set(xids.all()) == {"0000:01:00", "0000:02:00"}
    xids.name(BUS, A)
    assert set(xids.all()) == {A, "0000:02:00"}
    assert xids.of(A).last.uuid == A


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("0000:01:00", "00000000:01:00.0", True),
        ("01:00", "00000000:01:00.0", True),
        ("0001:41:00", "00000001:41:00.0", True),
        ("0000:0A:00", "00000000:0a:00.0", True),
        ("0000:01:00", "00000000:02:00.0", False),
        ("0001:01:00", "00000000:01:00.0", False),
        ("GPU-a", "GPU-a", False),
        ("", "", False),
    ],
)
def test_bus__in_two_spellings(one, other, is_same):
    assert same_bus(one, other) is is_same


@given(
    st.lists(st.tuples(st.sampled_from([13, 31, 79]), st.booleans()), max_size=40),
    st.randoms(use_true_random=False),
)
def test_report__log_tells_all_and_events_some__each_counts_once(reports, random):
    """Whatever order the two sources' words come in."""
    said = []
    for code, is_heard in reports:
        said.append((an_event(code=code), XidSource.KERNEL_LOG))
        if is_heard:
            said.append((an_event(code=code), XidSource.NVML))
    random.shuffle(said)
    xids = XidLog()
    for event, source in said:
        xids.add(event, source)
    codes = [code for code, _ in reports]
    assert xids.of(A).counts == {code: codes.count(code) for code in set(codes)}
