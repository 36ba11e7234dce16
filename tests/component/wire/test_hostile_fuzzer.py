"""The coverage-guided fuzzer for a moment; `python -m tests.fuzz.wire` goes on for longer."""

import platform
import re
import sys

import pytest

from tests.fuzz.wire import fuzz

pytestmark = pytest.mark.component


@pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.version_info >= (3, 14), reason="atheris has no wheel for this machine"
)
def test_ten_seconds__find_nothing(tmp_path):
    done = fuzz(10, 1, tmp_path / "kept")
    assert done.returncode == 0, done.stdout[-4000:]
    assert list((tmp_path / "kept").iterdir()) == []
    (runs,) = re.findall(r"^Done (\d+) runs", done.stdout, re.MULTILINE)
    assert int(runs) > 1000
