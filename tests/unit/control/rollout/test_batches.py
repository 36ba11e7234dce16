"""Who changes with whom: the order by dependency, canaries, and never more away than may be."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.control.rollout import members_of, plan_batches
from livefleet.kernel import BadInput
from livefleet.spec import Role, RolloutSettings, load_fleet
from livefleet.spec.rollout import parse_share, share_of
from tests.builders.rollouts import a_member

pytestmark = pytest.mark.unit

FLEET = """\
name: f
network: devchain
keys: {pay: {file: k}}
secrets: {join: {env: JOIN}}
defaults: {network: {name: offchain}, monitoring: {scrape: {listen: "0.0.0.0:7937", token: join}}}
hosts:
  w1: {address: 10.0.0.1, role: worker, duties: [transcoding], worker: {orchestrator: "o1:8935", secret: join}}
  w2: {address: 10.0.0.2, role: worker, duties: [transcoding], worker: {orchestrator: "elsewhere:8935", secret: join}}
  o1: {address: 10.0.0.3, role: orchestrator, orchestrator: {service_uri: "https://o1:8935", worker_secret: join}}
  m1: {address: 10.0.0.4, role: monitor, groups: [site]}
groups: {site: {}}
"""


def batches(members, to_do=None, down=(), at_once=20, **how):
    names = [m.name for m in members] if to_do is None else to_do
    return plan_batches(members, names, down, RolloutSettings(**how), at_once=at_once)


def hosts_of(plan):
    return [batch.hosts for batch in plan.batches]


def test_members__of_a_fleet__know_their_pool_tier_and_groups(tmp_path):
    (tmp_path / "fleet.yaml").write_text(FLEET)
    members = {m.name: m for m in members_of(load_fleet(tmp_path / "fleet.yaml"))}
    assert members["w1"].pool == "workers of o1:8935"
    assert members["w1"].pool != members["w2"].pool
    assert members["m1"].groups == ("site",)
    assert sorted(members, key=lambda name: members[name].tier) == ["m1", "o1", "w1", "w2"]


def test_order__whoever_is_asked_comes_first():
    members = [a_member("w"), a_member("o", Role.ORCHESTRATOR), a_member("r", Role.REDEEMER)]
    assert hosts_of(batches(members)) == [("r",), ("o",), ("w",)]


def test_batches__workers_of_two_orchestrators__go_side_by_side():
    members = [a_member(f"{pool}{n}", pool=pool) for n in range(2) for pool in "ab"]
    assert hosts_of(batches(members, canary=0)) == [("a0", "b0"), ("a1", "b1")]


def test_canary__count__first_of_each_role_before_its_others():
    members = [a_member(f"o{n}", Role.ORCHESTRATOR) for n in range(3)] + [a_member(f"w{n}") for n in range(3)]
    plan = batches(members, max_unavailable=3, canary=1)
    assert [(b.hosts, b.canary) for b in plan.batches] == [
        (("o0",), True), (("o1", "o2"), False), (("w0",), True), (("w1", "w2"), False),
    ]  # fmt: skip


def test_canary__named__goes_before_everybody():
    members = [a_member("o", Role.ORCHESTRATOR), a_member("w0"), a_member("w1")]
    plan = batches(members, canary=("w1",))
    assert [(b.hosts, b.canary) for b in plan.batches] == [(("w1",), True), (("o",), False), (("w0",), False)]


def test_percent__counts_all_and_not_only_those_that_change():
    members = [a_member(f"w{n}") for n in range(20)]
    plan = batches(members, to_do=["w0", "w1", "w2", "w3"], max_unavailable="15%", canary=0)
    assert hosts_of(plan) == [("w0", "w1", "w2"), ("w3",)]


def test_limits__role_replaces_and_group_adds():
    members = [a_member(f"w{n}", groups=("rack",) if n < 3 else ()) for n in range(6)]
    plan = batches(members, max_unavailable=1, max_unavailable_of={"worker": 4, "rack": 1}, canary=0)
    assert hosts_of(plan) == [("w0", "w3", "w4", "w5"), ("w1",), ("w2",)]


def test_down__is_repaired_first_and_counts_until_then():
    members = [a_member(f"w{n}") for n in range(4)]
    assert hosts_of(batches(members, down=["w3"], canary=0)) == [("w3",), ("w0",), ("w1",), ("w2",)]


def test_down__and_not_to_be_changed__blocks_its_pool_with_the_reason():
    members = [a_member(f"w{n}") for n in range(3)] + [a_member("o", Role.ORCHESTRATOR)]
    plan = batches(members, to_do=["w0", "w1", "o"], down=["w2"])
    assert hosts_of(plan) == [("o",)]
    assert set(plan.blocked) == {"w0", "w1"}
    assert "1 may be away at once, and w2 is already" in plan.blocked["w0"]


@pytest.mark.parametrize("how", [{"canary": ("nobody",)}, {"max_unavailable_of": {"nothing": 1}}])
def test_name__of_nobody__is_bad_input(how):
    with pytest.raises(BadInput, match=r"nobody|nothing"):
        batches([a_member("w0")], **how)


@given(st.integers(1, 100), st.integers(1, 500))
def test_share__percent__is_between_one_and_all(percent, whole):
    assert 1 <= share_of(parse_share(f"{percent}%"), whole) <= whole


@pytest.mark.parametrize("text", ["0%", "101%", "half", "", "-1", 0, "0"])
def test_share__else__is_refused(text):
    with pytest.raises(ValueError, match=r"at least 1|neither"):
        parse_share(text)


@given(
    roles=st.lists(st.sampled_from(["worker", "orchestrator", "redeemer"]), min_size=1, max_size=30),
    limit=st.one_of(st.integers(1, 5), st.sampled_from(["10%", "50%", "100%"])),
    rack=st.integers(1, 3),
    canary=st.integers(0, 3),
    at_once=st.integers(1, 6),
    data=st.data(),
)
def test_batches__any_fleet__everybody_once_and_never_too_many_away(roles, limit, rack, canary, at_once, data):
    members = [
        a_member(f"h{n}", Role(role), pool=f"{role}{n % 2}", groups=("rack",) if n % 3 == 0 else ())
        for n, role in enumerate(roles)
    ]
    names = [m.name for m in members]
    to_do = data.draw(st.sets(st.sampled_from(names)))
    down = data.draw(st.sets(st.sampled_from(names), max_size=4))
    how = {"max_unavailable": limit, "canary": canary}
    if any(m.groups for m in members):
        how["max_unavailable_of"] = {"rack": rack}
    plan = batches(members, to_do=to_do, down=down, at_once=at_once, **how)
    done = [name for batch in plan.batches for name in batch.hosts]
    assert len(done) == len(set(done))
    assert set(done) | set(plan.blocked) == to_do
    away = set(down)
    sizes = Counter(m.pool for m in members)
    for batch in plan.batches:
        assert 1 <= len(batch.hosts) <= at_once
        assert len({m.role for m in members if m.name in batch.hosts}) == 1
        gone = away | set(batch.hosts)
        for pool, size in sizes.items():
            allowed = share_of(limit, size)
            taken = [m for m in members if m.pool == pool and m.name in gone]
            fresh = [m for m in taken if m.name in batch.hosts and m.name not in away]
            assert len(taken) <= allowed or not fresh
        racked = [m for m in members if m.groups and m.name in gone]
        assert len(racked) <= rack or not [m for m in racked if m.name in batch.hosts and m.name not in away]
        away -= set(batch.hosts)
