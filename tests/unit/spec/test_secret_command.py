"""Programs that print secrets: asked once a run, on the operator's terminal, and never repeated."""

import os
import pty
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from livefleet.kernel import BadInput
from livefleet.spec.secret_command import TERMINAL, CommandOutputs, output_of, own_terminal

pytestmark = pytest.mark.unit

COUNTED = "import sys, pathlib; p = pathlib.Path('asked'); p.write_text(p.read_text() + '.' if p.exists() else '.')"
NOBODY = {TERMINAL: "/dev/null/none"}


def a_command(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def environ(**more: str) -> dict[str, str]:
    return dict(os.environ) | NOBODY | more


def test_outputs__many_ask_at_once__the_program_runs_once(tmp_path: Path) -> None:
    command = a_command(f"{COUNTED}; import time; time.sleep(0.1); print('s3cret')")
    outputs = CommandOutputs()
    started = threading.Barrier(4)

    def ask(host: int) -> bytes:
        started.wait()
        return outputs.of(command, what=f"secrets.{host}", folder=tmp_path, environ=environ())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [b"s3cret"] * 4
    assert (tmp_path / "asked").read_text() == "."
    assert "s3cret" not in repr(outputs)


def test_outputs__it_failed_once__is_not_asked_again_and_each_asker_is_named(tmp_path: Path) -> None:
    outputs = CommandOutputs()
    for name in ("secrets.join", "keys.hot"):
        with pytest.raises(BadInput, match=f"{name}: .* ended with status 3") as failed:
            outputs.of(a_command(f"{COUNTED}; sys.exit(3)"), what=name, folder=tmp_path, environ=environ())
        assert "no terminal here" in str(failed.value)
    assert (tmp_path / "asked").read_text() == "."


def test_outputs__another_folder_or_argument__is_another_secret(tmp_path: Path) -> None:
    outputs = CommandOutputs()
    (tmp_path / "b").mkdir()
    folder = a_command("import os; print(os.getcwd())")
    for place in (tmp_path, tmp_path / "b"):
        assert outputs.of(folder, what="x", folder=place, environ=environ()) == str(place).encode()
    assert outputs.of(a_command("print(2)"), what="x", folder=tmp_path, environ=environ()) == b"2"


def test_command__asks__on_the_operators_terminal_and_only_stdout_is_the_secret(tmp_path: Path) -> None:
    operator, terminal = pty.openpty()
    device = os.ttyname(terminal)
    os.write(operator, b"PIN\n")
    ask = a_command("import sys; print('touch your key', file=sys.stderr); print('opened by', input())")
    found = output_of(ask, what="x", folder=tmp_path, environ=environ(**{TERMINAL: device}))
    assert found == b"opened by PIN"
    assert b"touch your key" in os.read(operator, 1000)
    for end in (operator, terminal):
        os.close(end)


def test_command__nobody_to_ask__ends_at_once_instead_of_waiting(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="status 1; there is no terminal here"):
        output_of(a_command("input()"), what="x", folder=tmp_path, environ=environ(), timeout_s=30)


def test_own_terminal__is_a_device_or_nothing() -> None:
    found = own_terminal()
    assert found == "" or Path(found).is_char_device()
