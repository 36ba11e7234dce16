"""A host whose key is at a signing service gets certificates, and no key."""

import pytest

from deploys import entry, steps
from livefleet.spec import to_yaml
from tests.builders.spec import a_fleet

pytestmark = pytest.mark.unit

ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
FLEET = f"""\
name: demo
network: {{name: devchain, rpc: ['http://127.0.0.1:1'], controller: '{ADDRESS}'}}
keys:
  identity:
    address: '{ADDRESS}'
    remote:
      url: https://signer:9000
      tls_ca: {{env: CA}}
      token: {{env: TOKEN}}
hosts:
  a:
    address: x
    role: orchestrator
    orchestrator: {{service_uri: 'https://o.example.com:8935', key: identity}}
"""


def test_node_files__remote_key__only_what_the_service_wants_is_written(tmp_path):
    fleet = a_fleet(tmp_path, FLEET)
    node = fleet.node("a")
    secrets = {item.host_path: item.read({"CA": "authority", "TOKEN": "t0ken"}) for item in fleet.secrets_to_send("a")}
    _, *files = steps.node_files(node, to_yaml(node), secrets, "livefleet")
    state = "/var/lib/livefleet/signers/identity"
    assert [(file.path, file.content, file.mode) for file in files] == [
        (f"{state}/ca.pem", b"authority", 0o600),
        (f"{state}/token", b"t0ken", 0o600),
    ]
    assert all(file.secret for file in files)
    assert entry._sent_paths(node) == ["signers/identity/ca.pem", "signers/identity/token"]
    assert "t0ken" not in to_yaml(node)
