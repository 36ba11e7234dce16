"""The file that a bundle is."""

import json
import tarfile
from pathlib import Path

import pytest

from livefleet.control import (
    FleetDiagnostics,
    FleetRun,
    HostDiagnostics,
    HostRun,
    operator_items,
    words_of,
    write_bundle,
)
from livefleet.control.journal import state_folder
from livefleet.kernel import BadInput, ExitCode, OutsideWorld
from livefleet.spec import Fleet
from tests.builders.spec import HEAD, a_fleet

pytestmark = pytest.mark.unit

FOUND = FleetDiagnostics(
    (
        HostDiagnostics("gpu-1", {"status.json": "{}", "agent.log": "é"}, ("gpu.txt: gone",), took_s=1.26),
        HostDiagnostics("gpu-2", error="cannot reach gpu-2"),
    )
)


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("POOL_SECRET", "operators-own-secret")
    worker = "role: worker, duties: [transcoding], worker: {orchestrator: 'o:8935', secret: pool}"
    hosts = "".join(f"  gpu-{n}: {{address: 10.0.0.{n}, {worker}}}\n" for n in (1, 2))
    return a_fleet(tmp_path, f"{HEAD}hosts:\n{hosts}")


def test_bundle__has_each_host_and_says_what_is_missing(tmp_path: Path, fleet: Fleet) -> None:
    path = tmp_path / "bundle.tar.gz"
    size = write_bundle(path, fleet, FOUND, {"journal.jsonl": "{}"}, at=1_800_000_000.0)
    assert path.stat().st_size == size
    assert path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as tar:
        texts = {member.name: tar.extractfile(member).read().decode() for member in tar.getmembers()}
    told = json.loads(texts.pop("bundle/manifest.json"))
    assert texts == {
        "bundle/operator/journal.jsonl": "{}",
        "bundle/hosts/gpu-1/agent.log": "é",
        "bundle/hosts/gpu-1/status.json": "{}",
    }
    assert told["made_at"] == "2027-01-15T08:00:00Z"
    one = told["hosts"]["gpu-1"]
    assert one["items"] == {"status.json": 2, "agent.log": 2}
    assert (one["role"], one["notes"], one["error"], one["took_s"]) == ("worker", ["gpu.txt: gone"], None, 1.3)
    assert told["hosts"]["gpu-2"]["error"] == "cannot reach gpu-2"


def test_bundle__file_is_there_or_cannot_be__says_so_and_nothing_is_lost(tmp_path: Path, fleet: Fleet) -> None:
    path = tmp_path / "mine.tar.gz"
    path.write_text("mine")
    with pytest.raises(BadInput, match="is there already"):
        write_bundle(path, fleet, FOUND, {}, at=0)
    assert path.read_text() == "mine"
    with pytest.raises(OutsideWorld, match=r"cannot write .*No such file or directory"):
        write_bundle(tmp_path / "no/x.tar.gz", fleet, FOUND, {}, at=0)


def test_journal_of_the_operator__is_masked_by_the_secrets_that_would_be_sent(fleet: Fleet) -> None:
    assert operator_items(fleet, ["gpu-1"]) == {}
    state_folder(fleet).mkdir(parents=True)
    (state_folder(fleet) / "journal.jsonl").write_text(
        '{"action": "apply", "text": "has operators-own-secret in it"}\n'
    )
    assert operator_items(fleet, ["gpu-1"]) == {"journal.jsonl": '{"action": "apply", "text": "has *** in it"}'}


@pytest.mark.parametrize(
    ("errors", "code"),
    [(("", ""), ExitCode.DONE), (("", "x"), ExitCode.PARTLY_FAILED), (("x", "x"), ExitCode.OUTSIDE_SAID_NO)],
)
def test_exit_code__by_how_many_could_be_asked(errors: tuple[str, str], code: ExitCode) -> None:
    assert FleetDiagnostics(tuple(HostDiagnostics("a", error=error) for error in errors)).exit_code is code
    runs = tuple(HostRun("a", None if error else 0, error=error) for error in errors)
    assert FleetRun(runs).exit_code is code


def test_exit_code__command_failed_everywhere__is_partly() -> None:
    assert FleetRun((HostRun("a", 3), HostRun("b", 1))).exit_code is ExitCode.PARTLY_FAILED


def test_words__one_is_for_the_shell_and_several_stand_as_they_are() -> None:
    assert words_of(["df -h | tail"]) == ("sh", "-c", "df -h | tail")
    assert words_of(["echo", "a b", "$x"]) == ("echo", "a b", "$x")
