import os
import signal
import subprocess
import sys

import pytest

from livefleet.kernel.pid_file import holder_of, holding, wake

pytestmark = pytest.mark.unit


def test_holder__only_while_it_holds(tmp_path):
    path = tmp_path / "run/agent.pid"
    assert holder_of(path) is None
    with holding(path):
        assert holder_of(path) == os.getpid()
        with holding(path):  # a second one takes nothing away
            assert holder_of(path) == os.getpid()
        assert holder_of(path) == os.getpid()
    assert path.read_text() == f"{os.getpid()}\n"
    assert holder_of(path) is None


def test_holder__was_killed__nobody_holds(tmp_path):
    path = tmp_path / "agent.pid"
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom livefleet.kernel.pid_file import holding\n"
        "with holding(Path(sys.argv[1])):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], timeout=60)
    assert int(path.read_text()) > 0
    assert holder_of(path) is None


@pytest.mark.parametrize("text", ["", "not a number\n"])
def test_holder__file_says_nothing__is_nobody(tmp_path, text):
    path = tmp_path / "agent.pid"
    with holding(path):
        path.write_text(text)
        assert holder_of(path) is None


def test_wake__somebody_holds__is_told_to_look(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(os, "kill", lambda *args: told.append(args))
    with holding(tmp_path / "agent.pid"):
        assert wake(tmp_path / "agent.pid")
    assert told == [(os.getpid(), signal.SIGHUP)]


def test_wake__nobody_holds__wakes_nobody(tmp_path):
    assert not wake(tmp_path / "agent.pid")
    with holding(tmp_path / "agent.pid"):
        pass
    assert not wake(tmp_path / "agent.pid")


@pytest.mark.parametrize(("error", "is_there"), [(PermissionError, True), (ProcessLookupError, False)])
def test_wake__cannot_be_signalled__counts_while_it_is_there(tmp_path, monkeypatch, error, is_there):
    def refuse(*_):
        raise error

    monkeypatch.setattr(os, "kill", refuse)
    with holding(tmp_path / "agent.pid"):
        assert wake(tmp_path / "agent.pid") is is_there
