"""A rollout that is asked to stop, at whatever moment: what becomes of its hosts, and how it goes on."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livefleet.control.rollout import Change, Changed, Phase, RolloutRecord, conduct, plan_batches
from livefleet.kernel import BadInput
from livefleet.spec import RolloutSettings
from tests.builders.rollouts import FakeHosts, a_member, a_record

pytestmark = pytest.mark.unit


def workers(count: int) -> list:
    return [a_member(f"w{n}") for n in range(count)]


def planned(hosts: FakeHosts, *, bake_s: float = 0.0, **how) -> RolloutRecord:
    names = [member.name for member in hosts.members]
    return a_record(plan_batches(hosts.members, names, (), RolloutSettings(**how), at_once=5), names, bake_s=bake_s)


def go_on(record: RolloutRecord, hosts: FakeHosts) -> RolloutRecord:
    """From a record as it comes from a disk."""

    def save(_record):
        hosts.moment()

    read = RolloutRecord.model_validate_json(record.model_dump_json())
    return conduct(read, hosts, save=save, now=lambda: 0.0, sleep=lambda _: hosts.moment(), stop=lambda: hosts.stopping)


def phases(record: RolloutRecord) -> dict[str, str]:
    return {name: host.phase.value for name, host in record.hosts.items()}


def stopped_in(call: str, hosts: FakeHosts, record: RolloutRecord) -> RolloutRecord:
    """Asked to stop once `call` is under way."""
    inner = getattr(hosts, call)

    def asked(names):
        hosts.stopping = call != "change"
        return inner(names)

    setattr(hosts, call, asked)
    return go_on(record, hosts)


def test_stop__while_hosts_are_emptied__they_serve_again_and_nothing_was_changed():
    hosts = FakeHosts(workers(4))
    record = stopped_in("empty", hosts, planned(hosts, max_unavailable=2, canary=0))
    assert hosts.drained == set()
    assert phases(record) == dict.fromkeys(("w0", "w1", "w2", "w3"), "not begun")
    assert [record.hosts[n].text for n in ("w0", "w2")] == ["put back into service", ""]
    assert [call for call, _ in hosts.calls] == ["empty", "put back"]
    assert set(hosts.runs.values()) == {"old"}
    assert record.ended == ""


def test_stop__while_hosts_change__one_is_in_the_middle_and_told_and_the_others_serve():
    hosts = FakeHosts(workers(3))
    record = planned(hosts, max_unavailable=3, canary=0)
    told = []

    def change(names):
        hosts.stopping = True
        return {"w0": Changed(Change.CHANGED), "w1": Changed(Change.CUT_OFF, "cut"), "w2": Changed(Change.NOT_BEGUN)}

    hosts.change = change
    conduct(
        record, hosts, save=lambda _: None, tell=lambda n, h: told.append((n, h.phase, h.text)),
        stop=lambda: hosts.stopping,
    )  # fmt: skip
    assert phases(record) == {"w0": "proving", "w1": "changing", "w2": "not begun"}
    assert hosts.drained == {"w1"}
    assert ("w1", Phase.CHANGING, "cut") in told
    assert ("w2", Phase.WAITING, "put back into service") in told
    assert record.ended == ""


def test_stop__one_cannot_be_put_back__is_kept_as_drained():
    hosts = FakeHosts(workers(2), lost={"w1"})
    record = stopped_in("empty", hosts, planned(hosts, max_unavailable=2, canary=0))
    assert phases(record) == {"w0": "not begun", "w1": "emptying"}
    assert record.hosts["w1"].text == "could not be put back into service"


def test_stop__drained_by_somebody_else_before__is_left_so():
    hosts = FakeHosts(workers(2), drained_by_others={"w1"})
    stopped_in("empty", hosts, planned(hosts, max_unavailable=2, canary=0))
    assert hosts.calls[-1] == ("put back", ("w0",))
    assert hosts.drained == {"w1"}


def test_stop__while_a_host_is_proven__it_serves_and_is_proven_by_whoever_goes_on():
    hosts = FakeHosts(workers(2), earns_nothing={"w0"})
    record = stopped_in("prove", hosts, planned(hosts, canary=0))
    assert phases(record) == {"w0": "proving", "w1": "not begun"}
    assert hosts.drained == set()
    hosts.stopping, hosts.prove = False, FakeHosts.prove.__get__(hosts)
    assert phases(go_on(record, hosts)) == {"w0": "went back", "w1": "not begun"}


def test_stop__before_a_host_goes_back__is_said_and_it_goes_back_when_gone_on_with():
    hosts = FakeHosts(workers(1), earns_nothing={"w0"})
    record = stopped_in("restore", hosts, planned(hosts, canary=0))
    assert (phases(record), record.ended) == ({"w0": "going back"}, "")
    hosts.stopping, hosts.restore = False, FakeHosts.restore.__get__(hosts)
    assert phases(go_on(record, hosts)) == {"w0": "went back"}
    assert hosts.runs == {"w0": "old"}


def test_stop__while_canaries_bake__the_rest_of_the_time_is_kept():
    hosts = FakeHosts(workers(2))
    record = planned(hosts, canary=1, bake_s=300)

    def sleep(_seconds):
        hosts.stopping = True

    conduct(record, hosts, save=lambda _: None, now=lambda: 1000.0, sleep=sleep, stop=lambda: hosts.stopping)
    assert (phases(record), record.bake_until, record.next_batch) == ({"w0": "done", "w1": "not begun"}, 1300.0, 0)


def test_stop__in_the_last_hosts_change_that_ends_well__is_no_end_before_it_is_proven():
    hosts = FakeHosts(workers(1))

    def change(_names):
        hosts.stopping = True
        hosts.runs["w0"] = "new"
        return {"w0": Changed(Change.CHANGED)}

    hosts.change = change
    record = conduct(planned(hosts), hosts, save=lambda _: None, stop=lambda: hosts.stopping)
    assert (phases(record), record.ended, hosts.drained) == ({"w0": "proving"}, "", set())
    hosts.stopping, hosts.change = False, FakeHosts.change.__get__(hosts)
    assert phases(go_on(record, hosts)) == {"w0": "done"}  # proven, though apply had nothing to do


def test_declared_otherwise_meanwhile__hosts_that_were_emptied_serve_again():
    hosts = FakeHosts(workers(1))
    record = planned(hosts)

    def change(_names):
        raise BadInput("fleet.yaml: w0 is declared otherwise")

    hosts.change = change
    with pytest.raises(BadInput):
        conduct(record, hosts, save=lambda _: None)
    assert (phases(record), hosts.drained) == ({"w0": "not begun"}, set())
    assert not record.hosts["w0"].begun


NAMES = st.sets(st.sampled_from([f"w{n}" for n in range(6)]), max_size=2)


@settings(max_examples=100)
@given(
    limit=st.integers(1, 3),
    canary=st.integers(0, 1),
    bake_s=st.sampled_from([0.0, 10.0]),
    refuses=NAMES, earns_nothing=NAMES, others=NAMES,
    stops=st.lists(st.integers(1, 40), max_size=4),
)  # fmt: skip
def test_stop__at_any_moments__only_hosts_in_the_middle_stay_drained_and_it_ends_as_if_it_had_not_been(
    limit, canary, bake_s, refuses, earns_nothing, others, stops
):
    def made() -> FakeHosts:
        return FakeHosts(workers(6), refuses, earns_nothing, drained_by_others=others)

    how = {"max_unavailable": limit, "canary": canary, "bake_s": bake_s}
    whole, hosts = made(), made()
    expected = go_on(planned(whole, **how), whole)
    record = planned(hosts, **how)
    for moment in stops:
        hosts.stop_at, hosts.stopping = hosts._moments + moment, False
        record = go_on(record, hosts)
        ours = hosts.drained - others
        assert ours <= {n for n in hosts.in_the_middle if record.hosts[n].phase is Phase.CHANGING}
        assert max(hosts.most_away.values(), default=0) <= limit
    hosts.stop_at, hosts.stopping = 0, False
    assert phases(go_on(record, hosts)) == phases(expected)
    assert (hosts.runs, hosts.drained) == (whole.runs, whole.drained)
