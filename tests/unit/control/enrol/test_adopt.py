"""Enrolled hosts into the fleet file: lines more, and not a character changed."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livefleet.control.bundle import slices_of
from livefleet.control.enrol.adopt import adopt, newcomers
from livefleet.control.enrol.records import HostRecord, HostState
from livefleet.control.enrol.slices import FleetSlices
from livefleet.control.enrol.tokens import Template, TemplateKind
from livefleet.kernel import BadInput
from livefleet.spec import load_fleet
from livefleet.spec.enrolment import EnrolAsk
from tests.builders.enrol import SECRET, a_fleet_file

WORKERS = Template(TemplateKind.GROUP, "workers")
BASE = "name: a\nsecrets: {j: {env: J}}\ngroups:\n  workers: {role: worker, worker: {orchestrator: 'o:1', secret: j}}\n"


def a_host(name="host-abcdefgh", **changed):
    record = HostRecord(
        key="00" * 32,
        state=HostState.ENROLLED,
        code="ABCD-EFGH",
        ask=EnrolAsk(name=name),
        peer="192.0.2.1",
        asked_at=0.0,
        seen_at=0.0,
        name=name,
        template=WORKERS,
        enrolled_at=0.0,
    )
    return replace(record, **changed)


def test_adopt__a_file_with_comments__differs_in_the_new_lines_alone(tmp_path):
    path = a_fleet_file(tmp_path, tmp_path / "host")
    before = path.read_text()
    added = adopt(path, [a_host()])
    after = path.read_text()
    assert after.replace(added, "") == before
    assert after.index("gpu-1:") < after.index("host-abcdefgh:") < after.index("# Nothing below.")
    assert load_fleet(path).hosts == ("gpu-1", "host-abcdefgh")


def test_adopt__its_settings__stay_what_the_host_was_told(tmp_path):
    path = a_fleet_file(tmp_path, tmp_path / "host")
    slices = FleetSlices(path, {"JOIN_SECRET": SECRET})
    told = slices.answer(a_host())
    adopt(path, [a_host()])
    assert slices.answer(a_host()) == told


def test_adopt__host_that_pulls__finds_in_the_bundle_what_it_was_told(tmp_path):
    path = a_fleet_file(tmp_path, tmp_path / "host")
    (tmp_path / "root.json").write_text("{}")
    pull = "    pull: {url: 'https://bundles.example.com/home', trust: root.json}\n    role: worker\n"
    path.write_text(path.read_text().replace("    role: worker\n", pull, 1))
    told = FleetSlices(path, {"JOIN_SECRET": SECRET}).answer(a_host())
    adopt(path, [a_host()])
    assert slices_of(load_fleet(path))["host-abcdefgh"] == told.node_yaml.encode()


@pytest.mark.parametrize(
    "hosts",
    [
        "hosts:\n  x: {address: 10.0.0.1, groups: [workers]}\n",
        "hosts:\n  x: {address: 10.0.0.1, groups: [workers]}",
        "hosts:\n      x:\n          address: 10.0.0.1\n          groups:\n          - workers\n\n\n# end\n",
        "hosts:\n  x:\n    address: 10.0.0.1\n    groups: [workers]\n  # the last one\nrollout: {canary: 1}\n",
        "hosts: # all\n  'x': {address: 10.0.0.1, groups: [workers]}\n...\n",
        "hosts:\n  x:\n    groups: [workers]\n    address: >-\n      10.0.0.1\n\ndefaults: {profile: cpu}\n",
    ],
)
def test_adopt__however_hosts_are_written__are_two_hosts_afterwards(tmp_path, hosts):
    path = tmp_path / "fleet.yaml"
    path.write_text(BASE + hosts)
    adopt(path, [a_host()])
    assert load_fleet(path).hosts == ("x", "host-abcdefgh")
    assert load_fleet(path).host("x").address == "10.0.0.1"


def test_adopt__hosts_in_braces__is_refused_and_nothing_changes(tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_text(BASE + "hosts: {x: {address: 10.0.0.1, groups: [workers]}}\n")
    before = path.read_bytes()
    with pytest.raises(BadInput, match=r"fleet.yaml:5:1: `hosts` stands in braces"):
        adopt(path, [a_host()])
    assert path.read_bytes() == before


def test_adopt__dry__writes_nothing(tmp_path):
    path = a_fleet_file(tmp_path, tmp_path / "host")
    before = path.read_bytes()
    assert "host-abcdefgh" in adopt(path, [a_host()], write=False)
    assert path.read_bytes() == before


def test_adopt__through_a_link__keeps_link_and_mode(tmp_path):
    real = a_fleet_file(tmp_path, tmp_path / "host")
    real.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(real)
    adopt(link, [a_host()])
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert "host-abcdefgh" in real.read_text()


def test_newcomers__are_those_of_groups_that_the_file_does_not_have(tmp_path):
    path = a_fleet_file(tmp_path, tmp_path / "host")
    new = a_host()
    others = [
        a_host("gpu-1", template=Template(TemplateKind.HOST, "gpu-1")),
        a_host("host-b", state=HostState.REPLACED),
        replace(a_host("host-c"), state=HostState.WAITING, name=None, template=None),
    ]
    assert newcomers(path, [new, *others]) == (new,)
    adopt(path, [new])
    assert newcomers(path, [new, *others]) == ()


@settings(max_examples=25)
@given(
    names=st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True), min_size=1, max_size=5, unique=True),
    indent=st.integers(1, 6),
    tail=st.sampled_from(["", "\n", "# end\n", "rollout: {canary: 1}\n", "\n\nrollout:\n  canary: 1\n"]),
)
def test_adopt__any_names_and_indentation__keeps_every_host(tmp_path_factory, names, indent, tail):
    path = tmp_path_factory.mktemp("fleet") / "fleet.yaml"
    pad = " " * indent
    hosts = "".join(f"{pad}{n}: {{address: 10.0.0.{i}, groups: [workers]}}\n" for i, n in enumerate(names, 1))
    path.write_text(f"{BASE}hosts:\n{hosts}{tail}")
    adopt(path, [a_host("host-2222"), a_host("host-3333")])
    assert load_fleet(path).hosts == (*names, "host-2222", "host-3333")
