"""The key, the files, the screen, the self-test and the reports, each by itself."""

import asyncio
import base64
import json
import os
import random
import stat
import sys

import pytest

from livefleet.enrol import (
    EnrolError,
    EnrolPlaces,
    HostFault,
    Reports,
    Screen,
    SystemdAgent,
    accepted,
    ensure_identity,
    load_identity,
    qr_lines,
    reports_of,
    write_durably,
)
from livefleet.enrol.agent_service import self_test
from livefleet.enrol.host_name import name_files
from livefleet.kernel import BadInput, OutsideWorld
from livefleet.spec import NodePaths
from livefleet.spec.enrolment import Enrolled, HostReport, SentFile
from tests.builders.enrol import AHost, Operator, a_fleet_file

DIGEST = "sha256:" + "0" * 64


def test_identity__made_once__is_the_same_and_ours_alone(tmp_path):
    path = tmp_path / "identity.pem"
    made = ensure_identity(path)
    assert ensure_identity(path).fingerprint == made.fingerprint
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_identity__damaged__is_told_and_not_replaced(tmp_path):
    path = tmp_path / "identity.pem"
    path.write_text("-----BEGIN")
    with pytest.raises(BadInput, match="remove it"):
        ensure_identity(path)
    assert path.read_text() == "-----BEGIN"


def test_identity__absent__cannot_be_loaded(tmp_path):
    with pytest.raises(BadInput, match="cannot read the host's key"):
        load_identity(tmp_path / "identity.pem")


def test_write__disk_is_full__leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "node.yaml"
    path.write_text("old")

    def full(handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OutsideWorld, match="No space left"):
            write_durably(path, b"new")
    assert path.read_text() == "old"
    write_durably(path, b"new")
    assert path.read_text() == "new"


def test_write__somebody_has_put_a_link_beside_it__is_not_followed(tmp_path):
    target = tmp_path / "elsewhere"
    (tmp_path / ".node.yaml.new").symlink_to(target)
    write_durably(tmp_path / "node.yaml", b"new")
    assert not target.exists()


@pytest.fixture
def answer(tmp_path):
    operator = Operator(a_fleet_file(tmp_path, tmp_path / "host"))
    host = AHost(tmp_path / "host", operator)
    host.seed(f"token: {operator.token()}\n")
    host.boot()
    return operator.slices.answer(operator.store.hosts()[0])


def changed(answer, **fields):
    return Enrolled(**(answer.model_dump() | fields))


def a_file(path):
    return SentFile(path=path, content=base64.b64encode(b"x").decode())


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": "other"}, "the settings are for "),
        ({"node_yaml": "version: 1\n"}, "none that its release understands"),
        ({"node_yaml": "["}, "none that its release understands"),
        ({"files": (a_file("secrets/other"),)}, "that the settings do not name"),
        ({"files": (a_file("/etc/passwd"),)}, "that the settings do not name"),
        ({"files": (a_file("../../etc/passwd"),)}, "that the settings do not name"),
        ({"files": (SentFile(path="secrets/join", content="%%"),)}, "came damaged"),
    ],
)
def test_answer__that_this_host_cannot_take__is_refused_before_anything_is_written(answer, tmp_path, fields, told):
    with pytest.raises(EnrolError, match=told) as caught:
        accepted(changed(answer, **fields), tmp_path / "host")
    assert caught.value.fault is HostFault.WRONG_ANSWER


def test_enrolment__note_is_damaged__counts_as_none(tmp_path):
    places = EnrolPlaces(NodePaths(tmp_path))
    places.folder.mkdir(parents=True)
    places.enrolment.write_text("{")
    assert places.enrolled() is None
    assert reports_of(NodePaths(tmp_path), lambda: None) is None


def test_qr__is_square_and_light_around(tmp_path):
    lines = qr_lines("https://ops.example.com:8939/c/ABCD-EFGH")
    assert len({len(line) for line in lines}) == 1
    assert set("".join(lines)) <= set("█▄▀ ")
    assert set(lines[0]) == {"█"}


def test_screen__the_same_again__is_not_said_again():
    lines = []
    screen = Screen(lines.append, "https://ops:1")
    screen.trouble("no network", 2)
    screen.trouble("no network", 3)
    screen.trouble("no answer", 3)
    screen.trouble("no network", 3)
    assert [line for line in lines if "looking" not in line] == [
        "livefleet: no network",
        "livefleet: no answer",
        "livefleet: no network",
    ]


HOSTS = "127.0.0.1 localhost\n127.0.1.1 livefleet\n::1 localhost\n"


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [
        ("livefleet\n", "Gpu-1", "gpu-1\n"),
        ("localhost\n", "gpu-1", "gpu-1\n"),
        ("the-owners-own\n", "gpu-1", "the-owners-own\n"),
        ("livefleet\n", "gpu_1", "livefleet\n"),  # no name for a machine
        ("livefleet\n", "a" * 64, "livefleet\n"),
    ],
)
def test_machine__goes_by_its_name_in_the_fleet__unless_it_has_one_of_its_own(tmp_path, before, name, after):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hostname").write_text(before)
    (tmp_path / "etc/hosts").write_text(HOSTS)
    assert name_files(tmp_path, name) == (before != after)
    assert (tmp_path / "etc/hostname").read_text() == after
    shown = after.strip() if before != after else "livefleet"
    assert (tmp_path / "etc/hosts").read_text() == HOSTS.replace("livefleet", shown)


def fake_program(folder, name, text):
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)


def test_systemd__start__enables_and_then_starts_the_unit(tmp_path, monkeypatch):
    fake_program(tmp_path, "systemctl", f"import sys\nopen({str(tmp_path / 'said')!r}, 'a').write(repr(sys.argv[1:]))")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert SystemdAgent(None).start() == "livefleet.service runs"
    said = (tmp_path / "said").read_text()
    assert said == "['enable', '--quiet', 'livefleet.service']['start', 'livefleet.service']"


def test_systemd__unit_fails__says_its_words_and_where_to_look(tmp_path, monkeypatch):
    fake_program(tmp_path, "systemctl", "import sys\nsys.exit('Job failed.\\nSee status.')")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(OutsideWorld, match=r"Job failed. See status.; see `journalctl --unit livefleet.service`"):
        SystemdAgent(None).start()


def test_self_test__program_cannot_run__is_a_finding(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    findings = self_test(tmp_path / "node.yaml", None, 60)
    assert [(item.good, item.message[:11]) for item in findings] == [(False, "did not run")]


class Sink:
    def __init__(self, faults=()):
        self.reports = []
        self.faults = list(faults)
        self.news = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def report(self, report):
        fault = self.faults.pop(0) if self.faults else None
        self.reports.append(report)
        self._loop.call_soon_threadsafe(self.news.set)
        if fault is not None:
            raise EnrolError(fault, "no")


async def run_until(reports, sink, count):
    running = asyncio.create_task(reports.run())
    try:
        async with asyncio.timeout(20):
            while len(sink.reports) < count:
                await sink.news.wait()
                sink.news.clear()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def a_report(**settings):
    return HostReport(**({"ready": True, "digest": DIGEST} | settings))


async def test_reports__news__is_told_long_before_the_next_is_due():
    sink = Sink()
    standing = [a_report(ready=False, reasons=("A",)), a_report(ready=False, reasons=("B",)), a_report()]
    reports = Reports(
        sink,
        lambda: standing[min(len(sink.reports), 2)],
        every_s=1e6,
        look_s=0.001,
        rng=random.Random(1),
    )
    await run_until(reports, sink, 3)
    assert sink.reports == standing


async def test_reports__nobody_takes_them__go_on_and_are_logged_once(caplog):
    sink = Sink([HostFault.NO_ANSWER] * 3)
    await run_until(Reports(sink, a_report, every_s=0.001, look_s=0.001), sink, 5)
    told = [record.message for record in caplog.records if record.name.startswith("livefleet.enrol")]
    assert told.count("enrol_report.not_taken") == 1


def test_report__of_an_enrolled_host__goes_where_it_enrolled(tmp_path):
    operator = Operator(a_fleet_file(tmp_path, tmp_path / "host"))
    host = AHost(tmp_path / "host", operator)
    host.seed(f"token: {operator.token()}\n")
    host.boot()
    assert reports_of(NodePaths(tmp_path / "host"), a_report) is not None
    assert json.loads(host.places.enrolment.read_text())["url"] == host.config.url
