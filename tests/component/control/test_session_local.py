"""Commands on this very machine: their output, their end, and what stops them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Timer

import pytest

from livefleet.control import Session
from livefleet.control.host import logs_program
from livefleet.control.session import run_session
from livefleet.kernel import OutsideWorld
from livefleet.spec import HostSettings
from tests.builders.deploys import a_node

pytestmark = pytest.mark.component

HERE = HostSettings(name="here", address="@local")


def run(*words: str, stop: Event | None = None, **settings) -> tuple[int, bytes, bytes]:
    heard = {False: b"", True: b""}

    def take(data: bytes, *, error: bool) -> None:
        heard[error] += data

    code = run_session(HERE, Session(words, **settings), take, stop or Event())
    return code, heard[False], heard[True]


def test_session__both_streams_and_the_exit_code_come(tmp_path: Path) -> None:
    assert run("sh", "-c", "cat; echo bad >&2; exit 5", stdin=b"sent") == (5, b"sent", b"bad\n")


def test_session__program_is_not_there__says_so() -> None:
    with pytest.raises(OutsideWorld, match="cannot run no-such-program: No such file"):
        run("no-such-program")


def test_session__not_in_time__it_ends_with_all_that_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    with pytest.raises(OutsideWorld, match=r"`sh` did not end within 0\.3 s"):
        run("sh", "-c", f"sleep 100 & echo $! > {mark}; wait", timeout_s=0.3)
    assert gone(int(mark.read_text()))


def test_session__stopped__ends_at_once_with_minus_one() -> None:
    stop = Event()
    Timer(0.3, stop.set).start()
    began = time.monotonic()
    assert run("sleep", "100", stop=stop, timeout_s=None)[0] == -1
    assert time.monotonic() - began < 10


def test_logs_program__followed_file__tells_new_lines_over_a_rotation_and_ends_with_stdin(tmp_path: Path) -> None:
    node = a_node(root=str(tmp_path))
    log = node.paths.log / "agent.log"
    log.parent.mkdir(parents=True)
    (node.paths.state / "secrets").mkdir(parents=True)
    (node.paths.state / "secrets/join").write_text("join-secret-value")
    log.write_text("old one\nold two\n")
    program = logs_program(node, lines=1, since=None, follow=True)
    with subprocess.Popen(
        [sys.executable, *program.words[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ
    ) as process:
        try:
            process.stdin.write(program.stdin)
            process.stdin.flush()

            def said() -> str:
                return json.loads(process.stdout.readline())["m"]

            assert said() == "old two"
            time.sleep(0.5)  # it has to stand at the end of the file first
            with log.open("a") as file:
                file.write("new with join-secret-value\nhalf")
            assert said() == "new with ***"
            log.replace(log.with_suffix(".log.1"))
            log.write_text("in another file\n")
            assert said().endswith("in another file")
            process.stdin.close()
            assert process.wait(10) == 0
        finally:
            process.kill()


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
