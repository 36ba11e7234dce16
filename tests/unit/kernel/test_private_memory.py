import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

SEEN = """
import ctypes, resource, subprocess, sys
from livefleet.kernel.private_memory import keep_memory_private
print(ctypes.CDLL(None).prctl(3), flush=True)
keep_memory_private()
child = "import ctypes; print(ctypes.CDLL(None).prctl(3))"
print(ctypes.CDLL(None).prctl(3), *resource.getrlimit(resource.RLIMIT_CORE), flush=True)
subprocess.run([sys.executable, "-c", child], check=True)
"""


def test_keep_memory_private__no_dump_and_no_tracer__and_children_are_as_ever() -> None:
    done = subprocess.run([sys.executable, "-c", SEEN], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["1", "0 0 0", "1"]
