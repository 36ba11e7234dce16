"""The limit that keeps hostile JSON from ending the process, in a process of its own: libraries of tests set it too."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

_READ = """
import json
import livefleet.chain
import eth_keys, eth_account, web3
for text in ("[" * 100_000, '{"a":' * 100_000):
    try:
        json.loads(text)
    except RecursionError:
        print("refused")
"""


def test_json__nested_a_hundred_thousand_deep__is_an_error_and_not_the_end():
    done = subprocess.run([sys.executable, "-c", _READ], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "refused\nrefused\n"), done.stderr
