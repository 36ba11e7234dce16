import os
import subprocess
import sys

import pytest

from livefleet.kernel.pid_file import holder_of, holding

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
