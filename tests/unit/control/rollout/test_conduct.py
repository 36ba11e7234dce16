"""What becomes of every host, whatever goes wrong with some, and wherever the conductor is cut off."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livefleet.control.rollout import Phase, RolloutRecord, conduct, load_record, plan_batches, save_record
from livefleet.kernel import BadInput
from livefleet.spec import RolloutSettings
from tests.builders.rollouts import CutOffError, FakeHosts, a_member, a_record

pytestmark = pytest.mark.unit


def workers(count: int) -> list:
    return [a_member(f"w{n}") for n in range(count)]


def rolled(hosts: FakeHosts, *, cut_at: int = 0, bake_s: float = 0.0, now=lambda: 0.0, **how):
    """To the end, resumed once where it is cut off; the record goes over its text, as over a disk."""
    names = [member.name for member in hosts.members]
    plan = plan_batches(hosts.members, names, hosts.down, RolloutSettings(**how), at_once=5)
    disk = a_record(plan, names, bake_s=bake_s).model_dump_json()
    hosts.cut_at = cut_at

    def save(record):
        nonlocal disk
        hosts.moment()
        disk = record.model_dump_json()
        hosts.moment()

    cut = False
    for _ in range(2):
        record = RolloutRecord.model_validate_json(disk)
        try:
            return conduct(record, hosts, save=save, now=now, sleep=lambda _: None), cut
        except CutOffError:
            hosts.cut_at, cut = 0, True
    raise AssertionError("cut off twice")


def phases(record) -> dict[str, str]:
    return {name: host.phase.value for name, host in record.hosts.items()}


def test_rollout__all_well__every_host_is_emptied_changed_and_serves_again():
    hosts = FakeHosts(workers(5))
    record, _ = rolled(hosts, max_unavailable=2, canary=1)
    assert set(phases(record).values()) == {"done"}
    assert record.ended == "done"
    assert hosts.drained == set()
    assert [call for call, _ in hosts.calls[:4]] == ["empty", "change", "serve", "prove"]
    assert [names for call, names in hosts.calls if call == "change"] == [("w0",), ("w1", "w2"), ("w3", "w4")]


def test_rollout__one_does_not_serve__goes_back_and_nobody_follows():
    hosts = FakeHosts(workers(6), refuses={"w2"})
    record, _ = rolled(hosts, max_unavailable=2, canary=1)
    assert phases(record) == {
        "w0": "done", "w1": "done", "w2": "went back", "w3": "not begun", "w4": "not begun", "w5": "not begun",
    }  # fmt: skip
    assert record.ended == "stopped"
    assert hosts.drained == set()


def test_rollout__smoke_job_fails__host_goes_back_with_the_reason():
    hosts = FakeHosts(workers(3), earns_nothing={"w0"})
    record, _ = rolled(hosts, max_unavailable=1)
    assert (record.hosts["w0"].phase, record.hosts["w0"].text) == (Phase.WENT_BACK, "smoke; went back")
    assert hosts.runs == {"w0": "old", "w1": "old", "w2": "old"}


def test_rollout__canaries__are_looked_at_again_after_they_have_baked():
    hosts, slept = FakeHosts(workers(3)), []
    names = [member.name for member in hosts.members]
    plan = plan_batches(hosts.members, names, (), RolloutSettings(canary=1))

    def sleep(seconds):
        slept.append(seconds)
        hosts.earns_nothing = {"w0"}

    record = conduct(a_record(plan, names, bake_s=300), hosts, save=lambda _: None, now=lambda: 0.0, sleep=sleep)
    assert slept == [300]
    assert phases(record) == {"w0": "went back", "w1": "not begun", "w2": "not begun"}


def test_rollout__resumed_while_canaries_bake__only_the_rest_of_the_time_is_waited():
    hosts, slept = FakeHosts(workers(2)), []
    names = [member.name for member in hosts.members]
    record = a_record(plan_batches(hosts.members, names, (), RolloutSettings(canary=1)), names, bake_s=300)
    record.hosts["w0"].phase, record.bake_until = Phase.DONE, 1000.0
    conduct(record, hosts, save=lambda _: None, now=lambda: 900.0, sleep=slept.append)
    assert slept == [100.0]
    assert ("change", ("w0",)) not in hosts.calls


def test_rollout__drained_by_somebody_else__is_changed_and_left_drained():
    hosts = FakeHosts(workers(2), drained_by_others={"w1"}, earns_nothing={"w1"})
    record, _ = rolled(hosts, max_unavailable=2, canary=0)
    assert set(phases(record).values()) == {"done"}
    assert hosts.drained == {"w1"}


def test_rollout__host_is_not_reached__others_of_the_batch_come_to_their_end():
    hosts = FakeHosts(workers(4), stuck={"w1"})
    record, _ = rolled(hosts, max_unavailable=2, canary=0)
    assert phases(record) == {"w0": "done", "w1": "failed", "w2": "not begun", "w3": "not begun"}


def test_rollout__hosts_without_a_restart__are_not_emptied():
    hosts = FakeHosts(workers(2))
    names = [member.name for member in hosts.members]
    record = a_record(plan_batches(hosts.members, names, (), RolloutSettings()), names)
    for host in record.hosts.values():
        host.restarts = False
    conduct(record, hosts, save=lambda _: None)
    assert {call for call, _ in hosts.calls} == {"change", "prove"}


def test_rollout__300_hosts__one_bad_batch_hides_nothing():
    hosts = FakeHosts(workers(300), refuses={"w150", "w151"})
    record, _ = rolled(hosts, max_unavailable="2%", canary=2)
    counts = {phase: list(phases(record).values()).count(phase) for phase in ("done", "went back", "not begun")}
    assert counts["went back"] == 2
    assert counts["done"] + counts["not begun"] == 298
    assert counts["done"] == 150
    assert max(hosts.most_away.values()) <= 6


@pytest.mark.parametrize(
    "wrong",
    [{}, {"earns_nothing": {"w1", "w2"}}, {"refuses": {"w1"}, "earns_nothing": {"w2"}}, {"stuck": {"w2"}}],
    ids=["nothing", "earning", "serving", "reached"],
)
def test_rollout__cut_off_at_each_moment_and_resumed__ends_as_if_it_had_not_been(wrong):
    how = {"max_unavailable": 2, "canary": 1, "bake_s": 10.0}
    whole = FakeHosts(workers(5), **wrong)
    expected, _ = rolled(whole, **how)
    for moment in range(1, 200):
        hosts = FakeHosts(workers(5), **wrong)
        found, cut = rolled(hosts, cut_at=moment, **how)
        assert (phases(found), hosts.runs, hosts.drained) == (phases(expected), whole.runs, whole.drained), moment
        if not cut:
            break
    assert moment > 30


NAMES = st.sets(st.sampled_from([f"w{n}" for n in range(8)]), max_size=3)


@settings(max_examples=150)
@given(
    limit=st.integers(1, 4),
    canary=st.integers(0, 2),
    bake_s=st.sampled_from([0.0, 10.0]),
    refuses=NAMES, earns_nothing=NAMES, stuck=NAMES, already=NAMES, down=NAMES,
    cut_at=st.integers(1, 120),
)  # fmt: skip
def test_rollout__cut_off_anywhere_and_resumed__ends_as_if_it_had_not_been(
    limit, canary, bake_s, refuses, earns_nothing, stuck, already, down, cut_at
):
    earns_nothing -= already  # what was there before is not tried, unless a cut makes it look like ours

    def made() -> FakeHosts:
        return FakeHosts(workers(8), refuses, earns_nothing, stuck, already, down=set(down))

    def ends(record) -> dict[str, str]:
        return {
            n: "as declared" if n in already and p in ("done", "unchanged") else p for n, p in phases(record).items()
        }

    whole, resumed = made(), made()
    expected, _ = rolled(whole, max_unavailable=limit, canary=canary, bake_s=bake_s)
    found, _ = rolled(resumed, cut_at=cut_at, max_unavailable=limit, canary=canary, bake_s=bake_s)
    assert ends(found) == ends(expected)
    assert resumed.runs == whole.runs
    assert resumed.drained == whole.drained
    for hosts, record in ((whole, expected), (resumed, found)):
        assert max(hosts.most_away.values(), default=0) <= max(limit, len(down))
        for name, host in record.hosts.items():
            assert host.phase.is_last or host.phase is Phase.WAITING
            assert hosts.runs[name] == ("new" if host.phase is Phase.DONE and name not in already else "old")


def test_record__written_and_read__is_the_same_and_private(tmp_path):
    path = tmp_path / "state/rollout.json"
    assert load_record(path) is None
    record = a_record(plan_batches(workers(2), ["w0", "w1"], (), RolloutSettings()), ["w0", "w1"])
    save_record(path, record)
    assert load_record(path) == record
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("{")
    with pytest.raises(BadInput, match="remove it to begin anew"):
        load_record(path)
