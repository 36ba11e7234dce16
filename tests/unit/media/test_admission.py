import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from livefleet.kernel import SessionId
from livefleet.media.admission import Admission, Cost
from livefleet.media.metering import Usage

pytestmark = pytest.mark.unit

PIXEL = Cost(cpu=1e-8, place=1e-8)


def an_admission(devices=("cpu",), *, cores=2.0, places=2, max_load=0.8, max_sessions=None):
    return Admission(
        dict.fromkeys(devices, places),
        dict.fromkeys(devices, PIXEL),
        cores=cores,
        max_load=max_load,
        max_sessions=max_sessions,
    )


def names(count):
    return [SessionId(f"s{number}") for number in range(count)]


def open_all(admission, sessions, pixels_per_s, among=("cpu",)):
    return [admission.open(session, pixels_per_s, among) for session in sessions]


def test_open__estimates__fill_the_machine_and_no_more():
    admission = an_admission()
    taken = open_all(admission, names(6), 50_000_000)  # half a core each, of 1.6
    assert taken == ["cpu", "cpu", "cpu", None, None, None]
    assert admission.load.cpu_used == pytest.approx(1.5)


def test_open__an_empty_machine__takes_a_session_however_large():
    admission = an_admission()
    assert open_all(admission, names(2), 1e12) == ["cpu", None]


def test_open__places_run_out_before_cores__is_refused():
    admission = an_admission(cores=100)
    assert open_all(admission, names(4), 60_000_000) == ["cpu", "cpu", None, None]


def test_open__others_use_the_machine__less_is_promised_but_never_nothing():
    admission = an_admission(places=100)
    admission.cpu_of_others = 1.0
    assert open_all(admission, names(3), 50_000_000) == ["cpu", None, None]  # half a core each, of 0.8
    admission = an_admission(places=100)
    admission.cpu_of_others = 7.0
    assert open_all(admission, names(5), 15_000_000) == ["cpu", "cpu", None, None, None]  # of 0.4


def test_open__count_reached__is_refused_though_there_is_room():
    admission = an_admission(max_sessions=1)
    assert open_all(admission, names(2), 1) == ["cpu", None]


def test_open__after_a_close__fits_again():
    admission = an_admission()
    open_all(admission, names(4), 50_000_000)
    admission.close(SessionId("s0"))
    admission.close(SessionId("never seen"))
    assert admission.open(SessionId("late"), 50_000_000, ["cpu"]) == "cpu"


def test_measured__replaces_the_estimate_and_teaches_the_next():
    admission = an_admission()
    (session,) = names(1)
    admission.open(session, 50_000_000, ["cpu"])
    admission.measured(session, "cpu", Usage(cpu_s=0.2, place_s=0.1), media_s=2, pixels=100_000_000)
    load = admission.load
    assert load.cpu_used == pytest.approx(0.1)
    assert load.devices[0].pixel_cost == Cost(2e-9, 1e-9)
    assert load.devices[0].is_measured
    assert open_all(admission, [SessionId(f"n{n}") for n in range(20)], 49_000_000).count("cpu") == 15


def test_measured__cost_rises__new_ones_are_refused_and_open_ones_stay():
    admission = an_admission()
    sessions = names(3)
    open_all(admission, sessions, 10_000_000)
    for session in sessions:
        admission.measured(session, "cpu", Usage(cpu_s=2, place_s=2), media_s=2, pixels=20_000_000)
    assert admission.room_for(10_000_000, ["cpu"]) is None
    assert all(admission.device_of(session, ["cpu"]) == "cpu" for session in sessions)
    assert len(admission) == 3


def test_measured__one_odd_segment__moves_the_cost_little():
    admission = an_admission()
    (session,) = names(1)
    admission.open(session, 1, ["cpu"])
    for cpu_s in (1, 1, 1, 2):
        admission.measured(session, "cpu", Usage(cpu_s, cpu_s), media_s=2, pixels=1000)
    assert admission.load.cpu_used == pytest.approx(0.65)


def test_measured__empty_result_and_no_duration__change_nothing_absurd():
    admission = an_admission()
    admission.measured(SessionId("ended"), "cpu", Usage(1, 1), media_s=0, pixels=0)
    assert admission.load.devices[0].pixel_cost == PIXEL
    (session,) = names(1)
    admission.open(session, 1, ["cpu"])
    admission.measured(session, "cpu", Usage(0.001, 0.001), media_s=0, pixels=10)
    assert math.isfinite(admission.load.cpu_used)


def test_room_for__one_like_the_others__is_what_they_cost_on_average():
    admission = an_admission()
    sessions = names(2)
    open_all(admission, sessions, 1)
    for session, cpu_s in zip(sessions, (0.4, 0.8), strict=True):
        admission.measured(session, "cpu", Usage(cpu_s, 0.1), media_s=1, pixels=1000)
    assert admission.room_for(None, ["cpu"]) is None  # 1.2 and 0.6 more, of 1.6
    admission.close(sessions[1])
    assert admission.room_for(None, ["cpu"]) == "cpu"


def test_open__several_devices__go_to_the_freest_with_room():
    admission = an_admission(("a", "b"), cores=100)
    assert open_all(admission, names(5), 80_000_000, ["a", "b"]) == ["a", "b", "a", "b", None]
    assert admission.open(SessionId("x"), 1, ["b"]) is None or admission.load.devices[1].sessions == 3


def test_device_of__its_device_is_gone__moves_and_counts_there():
    admission = an_admission(("a", "b"), cores=100)
    (session,) = names(1)
    admission.open(session, 80_000_000, ["a"])
    assert admission.device_of(session, ["b"]) == "b"
    assert [device.sessions for device in admission.load.devices] == [0, 1]


def test_device_of__too_much_on_one_and_room_on_the_other__moves_over():
    admission = an_admission(("a", "b"), cores=100)
    sessions = names(4)
    for session in sessions:
        admission.open(session, 40_000_000, ["a", "b"])
        admission.device_of(session, ["b"])  # "a" was away
    assert [device.sessions for device in admission.load.devices] == [0, 4]
    admission.measured(sessions[0], "b", Usage(0.5, 0.5), media_s=1, pixels=40_000_000)
    assert [admission.device_of(session, ["a", "b"]) for session in sessions] == ["a", "b", "b", "b"]


class Offers(RuleBasedStateMachine):
    """Any order of offers, measurements, ends and lost devices."""

    def __init__(self):
        super().__init__()
        self.limit, self.cores, self.places = 4, 3.0, 2
        self.admission = an_admission(("a", "b"), cores=self.cores, places=self.places, max_sessions=self.limit)
        self.open = set()

    @rule(number=st.integers(0, 8), pixels=st.floats(0, 5e8), among=st.sampled_from([("a",), ("b",), ("a", "b")]))
    def offer(self, number, pixels, among):
        session = SessionId(str(number))
        if session in self.open:
            return
        device = self.admission.open(session, pixels, among)
        if device is None:
            assert session not in self.admission
            return
        self.open.add(session)
        assert device in among
        load = self.admission.load
        assert len(self.open) <= self.limit
        if len(self.open) > 1:
            used = next(d.used for d in load.devices if d.id == device)
            assert load.cpu_used <= load.max_load * self.cores * (1 + 1e-9)
            assert used <= load.max_load * self.places * (1 + 1e-9)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), used=st.floats(0, 10), media=st.floats(0, 10), pixels=st.integers(0, 10**9))
    def measure(self, data, used, media, pixels):
        session = data.draw(st.sampled_from(sorted(self.open)))
        device = self.admission.device_of(session, ["a", "b"])
        self.admission.measured(session, device, Usage(used, used), media_s=media, pixels=pixels)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), among=st.sampled_from([("a",), ("b",), ("a", "b")]))
    def send(self, data, among):
        session = data.draw(st.sampled_from(sorted(self.open)))
        assert self.admission.device_of(session, among) in among

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def end(self, data):
        session = data.draw(st.sampled_from(sorted(self.open)))
        self.admission.close(session)
        self.open.remove(session)

    @invariant()
    def only_an_end_ends_a_session(self):
        assert all(session in self.admission for session in self.open)
        assert sum(device.sessions for device in self.admission.load.devices) == len(self.open)

    @invariant()
    def nothing_is_left_of_ended_sessions(self):
        if not self.open:
            assert self.admission.load.cpu_used == 0


TestOffers = Offers.TestCase
TestOffers.settings = settings(deadline=None, max_examples=50, stateful_step_count=30)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=30))
def test_open__any_ladders__whoever_is_first_gets_in(ladders):
    admission = an_admission()
    taken = [admission.open(SessionId(str(n)), pixels, ["cpu"]) for n, pixels in enumerate(ladders)]
    assert taken[0] == "cpu"
    assert len(admission) == len(taken) - taken.count(None)
