"""Secrets and certificates that change under a serving node, as an operator writes them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from livefleet.spec import Fleet, SpecError, live_secret_paths, load_fleet, load_node, to_yaml

pytestmark = pytest.mark.unit

TEXT = """\
name: f
network: offchain
secrets: {{old: {{file: old}}, new: {{file: new}}, pem: {{host_file: /etc/ssl/full.pem}}, key: {{file: key}}}}
hosts:
  orch:
    address: 10.0.0.1
    role: orchestrator
    orchestrator:
      service_uri: https://10.0.0.1:8935
      {door}
  work:
    address: 10.0.0.2
    role: worker
    duties: [transcoding]
    worker: {{orchestrator: "10.0.0.1:8935", secret: {secret}}}
"""
ROTATION = "worker_secret: new\n      worker_secret_before: {secret: old, until: 2026-12-01T00:00Z}"


def a_fleet(folder: Path, door: str, secret: str = "new") -> Fleet:
    path = folder / "fleet.yaml"
    path.write_text(TEXT.format(door=door, secret=secret))
    return load_fleet(path)


@pytest.mark.parametrize("secret", ["old", "new"])
def test_rotation__workers_may_come_with_either_secret(tmp_path: Path, secret: str) -> None:
    fleet = a_fleet(tmp_path, ROTATION, secret)
    settings = fleet.node("orch").orchestrator
    assert settings is not None
    assert settings.worker_secret_before is not None
    assert settings.worker_secret_before.until == datetime(2026, 12, 1, tzinfo=UTC)
    assert set(fleet.node("orch").secrets) == {"old", "new"}
    assert set(fleet.node("work").secrets) == {secret}


def test_rotation__node_yaml__says_it_again(tmp_path: Path) -> None:
    node = a_fleet(tmp_path, ROTATION).node("orch")
    (tmp_path / "node.yaml").write_text(to_yaml(node))
    assert load_node(tmp_path / "node.yaml") == node


@pytest.mark.parametrize(
    ("door", "words"),
    [
        ("worker_secret_before: {secret: old, until: 2026-12-01T00:00Z}", "goes with `worker_secret`"),
        (
            "worker_secret: new\n      worker_secret_before: {secret: new, until: 2026-12-01T00:00Z}",
            "a name of its own",
        ),
        ("worker_secret: new\n      worker_secret_before: {secret: old, until: 2026-12-01T00:00}", "timezone"),
        ("worker_secret: new\n      worker_secret_before: {secret: old}", "until"),
        ("worker_secret: new\n      worker_secret_before: {secret: odl, until: 2026-12-01T00:00Z}", "no secret `odl`"),
        ("tls: {certificate: pen}", "no secret `pen`"),
        ("tls: {certificate: pem, key: kye}", "no secret `kye`"),
        ("tls: {key: key}", "certificate"),
    ],
)
def test_rotation__that_cannot_be__is_told_with_its_place(tmp_path: Path, door: str, words: str) -> None:
    with pytest.raises(SpecError) as failed:
        a_fleet(tmp_path, door, "new")
    told = [problem for problem in failed.value.problems if words in f"{problem.message} {problem.hint} {problem.path}"]
    assert told, failed.value
    assert told[0].line >= 5


def test_worker_with_a_third_secret__is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="with secret `key`, which wants `new`"):
        a_fleet(tmp_path, ROTATION, "key")


def test_live_secrets__are_those_that_an_agent_reads_again(tmp_path: Path) -> None:
    fleet = a_fleet(tmp_path, f"{ROTATION}\n      tls: {{certificate: pem, key: key}}")
    orch = live_secret_paths(fleet.node("orch"))
    assert orch == {"secrets/new", "secrets/old", "/etc/ssl/full.pem", "secrets/key"}
    assert live_secret_paths(fleet.node("work")) == {"secrets/new"}
