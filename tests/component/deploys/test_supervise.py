"""The supervisor for hosts without a service manager, as a real process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.builders.deploys import ROOT

pytestmark = pytest.mark.component

SUPERVISE = ROOT / "deploys/files/supervise.py"

Supervise = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    def run(action: str, *program: str, stop_timeout: float = 20) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, str(SUPERVISE), action, "--pid-file", str(tmp_path / "pid")]
        command += ["--stop-timeout", str(stop_timeout)]
        if program:
            command += ["--log", str(tmp_path / "log"), "--", *program]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    yield run
    run("stop")


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come about in time"
        time.sleep(0.05)


def a_program(tmp_path: Path, body: str) -> list[str]:
    """Notes each start with its pid, then does `body`."""
    path = tmp_path / "program.py"
    path.write_text(
        "import os, signal, sys, time\n"
        f"with open({str(tmp_path / 'starts')!r}, 'a') as f: f.write(f'{{os.getpid()}}\\n')\n" + body
    )
    return [sys.executable, str(path)]


def starts(tmp_path: Path) -> list[int]:
    path = tmp_path / "starts"
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_supervise__program_is_killed__starts_again(supervise: Supervise, tmp_path: Path) -> None:
    assert supervise("start", *a_program(tmp_path, "time.sleep(600)\n")).returncode == 0
    until(lambda: len(starts(tmp_path)) == 1)
    os.kill(starts(tmp_path)[0], signal.SIGKILL)
    until(lambda: len(starts(tmp_path)) == 2)
    assert "program ended with status -9" in (tmp_path / "log").read_text()
    assert supervise("status").returncode == 0


def test_supervise__start_twice__one_program(supervise: Supervise, tmp_path: Path) -> None:
    program = a_program(tmp_path, "time.sleep(600)\n")
    assert [supervise("start", *program).returncode for _ in range(2)] == [0, 0]
    until(lambda: len(starts(tmp_path)) >= 1)
    time.sleep(0.5)
    assert len(starts(tmp_path)) == 1


def test_supervise__stop__passes_sigterm_on_and_waits(supervise: Supervise, tmp_path: Path) -> None:
    body = (
        "def bye(*_):\n"
        f"    open({str(tmp_path / 'drained')!r}, 'w').close()\n    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, bye)\n"
        f"open({str(tmp_path / 'up')!r}, 'w').close()\n"
        "time.sleep(600)\n"
    )
    supervise("start", *a_program(tmp_path, body))
    until((tmp_path / "up").exists)
    assert supervise("stop").returncode == 0
    assert (tmp_path / "drained").exists()
    assert not alive(starts(tmp_path)[0])
    assert supervise("status").returncode == 3
    assert len(starts(tmp_path)) == 1


def test_supervise__program_ignores_sigterm__is_killed_after_the_stop_timeout(
    supervise: Supervise, tmp_path: Path
) -> None:
    body = (
        f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\nopen({str(tmp_path / 'up')!r}, 'w').close()\ntime.sleep(600)\n"
    )
    supervise("start", *a_program(tmp_path, body), stop_timeout=1)
    until((tmp_path / "up").exists)
    assert supervise("stop", stop_timeout=1).returncode == 0
    assert not alive(starts(tmp_path)[0])


def test_supervise__supervisor_is_killed__program_goes_with_it(supervise: Supervise, tmp_path: Path) -> None:
    supervise("start", *a_program(tmp_path, "time.sleep(600)\n"))
    until(lambda: len(starts(tmp_path)) == 1)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    until(lambda: supervise("status").returncode == 3)
    until(lambda: not alive(starts(tmp_path)[0]))


def test_supervise__secrets_of_the_deploying_shell__do_not_reach_the_program(
    supervise: Supervise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOIN_SECRET", "test-only")
    body = f"open({str(tmp_path / 'env')!r}, 'w').write('\\n'.join(os.environ))\ntime.sleep(600)\n"
    supervise("start", *a_program(tmp_path, body))
    until(lambda: (tmp_path / "env").exists() and bool((tmp_path / "env").read_text()))
    found = (tmp_path / "env").read_text().splitlines()
    assert "JOIN_SECRET" not in found
    assert "PATH" in found


def test_supervise__log_grows_too_long__its_last_piece_is_kept_and_the_program_goes_on(
    supervise: Supervise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVEFLEET_LOG_LIMIT", "20000")
    monkeypatch.setenv("LIVEFLEET_LOG_LOOK_S", "0.1")
    supervise("start", *a_program(tmp_path, "while True: print('x' * 99, flush=True); time.sleep(0.001)\n"))
    log, kept = tmp_path / "log", tmp_path / "log.1"
    until(kept.exists)
    until(lambda: 0 < log.stat().st_size < kept.stat().st_size)
    assert set(kept.read_text().splitlines()) == {"x" * 99}
    assert len(starts(tmp_path)) == 1
