from pathlib import Path

import pytest

from livefleet.spec import StoreSettings, TlsMode, load_node, to_yaml
from tests.builders.spec import a_fleet, problems

pytestmark = pytest.mark.unit

FLEET = """\
name: demo
network: {name: arbitrum-one-mainnet, rpc: [https://rpc.example.com]}
keys: {orch: {file: keys/orch.json}, redeem: {file: keys/redeem.json}}
secrets: {database: {file: secrets/database}, database-ca: {host_file: /etc/ssl/db.pem}, join: {file: secrets/join}}
defaults:
  store: {postgres: database, ca: database-ca}
hosts:
  a:
    address: 203.0.113.10
    role: orchestrator
    duties: [transcoding]
    orchestrator: {service_uri: 'https://a.example.com:8935', key: orch, worker_secret: join}
  redeemer:
    address: 203.0.113.11
    role: redeemer
    duties: [redemption]
    redeemer: {key: redeem}
    store: {connections: 8, tls: require}
  worker:
    address: 203.0.113.12
    role: worker
    duties: [transcoding]
    worker: {orchestrator: 'a.example.com:8935', secret: join}
"""


def test_store__survives_render_and_brings_url_and_certificate(tmp_path: Path) -> None:
    node = a_fleet(tmp_path, FLEET).node("a")
    assert node.store == StoreSettings(postgres="database", ca="database-ca")
    assert node.store.tls is TlsMode.VERIFY
    assert node.secrets == {
        "database": "secrets/database",
        "database-ca": "/etc/ssl/db.pem",
        "join": "secrets/join",
    }
    file = tmp_path / "node.yaml"
    file.write_text(to_yaml(node))
    assert load_node(file) == node


def test_store__layers__are_merged(tmp_path: Path) -> None:
    store = a_fleet(tmp_path, FLEET).node("redeemer").store
    assert store == StoreSettings(postgres="database", ca="database-ca", tls=TlsMode.REQUIRE, connections=8)


def test_store__node_that_keeps_no_payments__gets_neither_settings_nor_secret(tmp_path: Path) -> None:
    node = a_fleet(tmp_path, FLEET).node("worker")
    assert node.store is None
    assert node.secrets == {"join": "secrets/join"}


def test_store__taken_back_by_a_host__keeps_a_file_of_its_own(tmp_path: Path) -> None:
    node = a_fleet(tmp_path, FLEET.replace("    store: {connections: 8, tls: require}", "    store:")).node("redeemer")
    assert node.store is None
    assert node.secrets == {}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("postgres: database,", "postgres: databse,", "`databse`"),
        ("ca: database-ca}", "ca: database-cas}", "`database-cas`"),
        ("postgres: database, ", "", "postgres"),
        ("connections: 8", "connections: 1", "greater than or equal to 2"),
        ("tls: require", "tls: maybe", "`tls` cannot be `maybe`"),
        (
            "worker_secret: join}",
            "worker_secret: join, redeemer: '10.0.0.9:8935'}",
            "`orchestrator.redeemer` has nothing",
        ),
    ],
)
def test_store__wrong__is_told_where_it_stands(tmp_path: Path, before: str, after: str, said: str) -> None:
    assert before in FLEET
    found = problems(tmp_path, FLEET.replace(before, after))
    assert any(said in str(problem) for problem in found), found
