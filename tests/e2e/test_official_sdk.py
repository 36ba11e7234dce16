"""The official gateway SDK as a client of a running orchestrator."""

import json
import subprocess

import pytest

from tests.builders import sdk
from tests.builders.agents import an_agent

pytestmark = pytest.mark.e2e

ASK = """
import json, sys
from livepeer_gateway import get_orch_info
info = get_orch_info(sys.argv[1])
print(json.dumps({
    "transcoder": info.transcoder,
    "session": info.auth_token.session_id,
    "token": len(info.auth_token.token),
    "bits": list(info.capabilities.bitstring),
    "version": info.capabilities.version,
}))
"""


@pytest.fixture(scope="module")
def sdk_python(tmp_path_factory):
    return sdk.make_environment(tmp_path_factory.mktemp("sdk") / "venv")


def test_get_orch_info__off_chain_orchestrator__is_understood(sdk_python, tmp_path):
    with an_agent(tmp_path, role="orchestrator", network={"name": "offchain"}, duties=["transcoding"]) as agent:
        asked = subprocess.run([sdk_python, "-c", ASK, agent.service_uri], capture_output=True, text=True, timeout=60)
        assert asked.returncode == 0, asked.stderr
        info = json.loads(asked.stdout)
        assert info["transcoder"] == agent.service_uri
        assert len(info["session"]) == 8
        assert info["token"] == 32
        assert info["bits"][0] & 1 << 12
        assert info["version"]
