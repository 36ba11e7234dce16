"""What the desk makes of a host's examination."""

import pytest

from livefleet.control.examination import FleetExamination, HostExamination, _clock, examine_fleet
from livefleet.kernel import ExitCode
from livefleet.spec import Finding, Grade, load_fleet

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("at", "grade", "words"),
    [
        (105.0, Grade.OK, "agrees"),  # within what asking took
        (111.5, Grade.OK, "agrees"),
        (98.5, Grade.OK, "agrees"),
        (170.0, Grade.FAIL, "60 s ahead of"),
        (40.0, Grade.FAIL, "60 s behind"),
    ],
)
def test_clock__asked_between_two_moments__is_wrong_outside_of_them(at, grade, words):
    found = _clock(at, 100.0, 110.0)
    assert (found.grade, words in found.message) == (grade, True)
    assert bool(found.fix) == (grade is Grade.FAIL)


def a_host(*grades: Grade, reached: bool = True) -> HostExamination:
    return HostExamination("h", tuple(Finding(area="a", what="w", grade=g, message="m") for g in grades), reached)


@pytest.mark.parametrize(
    ("hosts", "code"),
    [
        ([a_host(Grade.OK, Grade.WARN, Grade.SKIP)], ExitCode.DONE),
        ([a_host(Grade.OK), a_host(Grade.FAIL)], ExitCode.PARTLY_FAILED),
        ([a_host(Grade.OK), a_host(Grade.FAIL, reached=False)], ExitCode.PARTLY_FAILED),
        ([a_host(Grade.FAIL, reached=False)], ExitCode.OUTSIDE_SAID_NO),
    ],
)
def test_exit_code__says_how_it_went(hosts, code):
    assert FleetExamination(tuple(hosts)).exit_code is code


def test_local_host__without_a_release__is_told_to_apply(tmp_path):
    file = tmp_path / "fleet.yaml"
    file.write_text(
        f"name: f\nnetwork: offchain\nhosts:\n  h: {{address: '@local', root: {tmp_path}/h, role: orchestrator,"
        " duties: [], orchestrator: {service_uri: 'https://127.0.0.1:1'}}\n"
    )
    told: list[HostExamination] = []
    found = examine_fleet(load_fleet(file), ["h"], outside=lambda _: [], on_host=told.append, parallel=1)
    (finding,) = found.hosts[0].findings
    assert "livefleet apply h" in finding.fix
    assert (found.exit_code, told) == (ExitCode.PARTLY_FAILED, list(found.hosts))
