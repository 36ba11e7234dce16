"""What a node imports before it serves, by its duties; each case in a process of its own."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

_ORCHESTRATOR = {"role": "orchestrator", "orchestrator": {"service_uri": "https://127.0.0.1:8935"}}
_KEY = {"own": {"file": "keys/own.hex"}}
_MODEL = {"pipeline": "llm", "model_id": "tiny", "url": "http://127.0.0.1:9999", "price": "1 wei"}
_WATCHED = ("aiohttp", "asyncpg", "coincurve", "eth_abi", "eth_account", "rlp", "web3")


def loaded(**node: object) -> tuple[set[str], int]:
    """(of those watched, the recursion limit afterwards)"""
    code = (
        "import json, sys\n"
        "from livefleet.roles import load_packages\n"
        "from livefleet.spec import NodeSpec\n"
        "load_packages(NodeSpec.model_validate(json.loads(sys.argv[1])))\n"
        f"print(json.dumps([[m for m in {_WATCHED} if m in sys.modules], sys.getrecursionlimit()]))"
    )
    text = json.dumps({"fleet": "demo", "name": "solo", **node})
    done = subprocess.run([sys.executable, "-c", code, text], check=True, capture_output=True, text=True, timeout=60)
    found, limit = json.loads(done.stdout)
    return set(found), limit


@pytest.mark.parametrize(
    ("node", "wanted"),
    [
        (_ORCHESTRATOR, set()),
        (_ORCHESTRATOR | {"duties": {"ai": True}, "models": [_MODEL]}, {"aiohttp"}),
        (_ORCHESTRATOR | {"keys": _KEY}, set(_WATCHED) - {"asyncpg"}),
    ],
    ids=["off-chain", "with a model", "with a key"],
)
def test_packages__by_duty__are_there_before_the_node_serves(node: dict[str, object], wanted: set[str]):
    found, limit = loaded(**node)
    assert found == wanted
    assert limit == 1000  # py_ecc raises it
