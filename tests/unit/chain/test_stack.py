"""The limit that keeps hostile JSON from ending the process, in a process of its own: libraries of tests set it too."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

_READ = """
import json
from livefleet.chain.stack import eth_abi, eth_account, rlp, web3
{first}
import eth_keys
for text in ("[" * 100_000, '{"a":' * 100_000):
    try:
        json.loads(text)
    except RecursionError:
        print("refused")
"""


@pytest.mark.parametrize("first", ["web3.AsyncHTTPProvider", "eth_account.Account", "rlp.encode", "eth_abi.encode"])
def test_json__nested_a_hundred_thousand_deep__is_an_error_and_not_the_end(first: str):
    code = _READ.replace("{first}", first)  # whichever of them is used first
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "refused\nrefused\n"), done.stderr
