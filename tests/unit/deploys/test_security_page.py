"""deploys/SECURITY.md: each "cannot" names a test that is there, or says why there is none; and two of those tests."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from livefleet.spec import SecretRef, SpecError, load_fleet

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
PLACES = ("public port", "gateway", "worker", "GPU host", "monitor", "control machine")

FLEET = """\
name: f
network: arbitrum-one-mainnet
keys: {hot: {file: hot, roles: [identity, recipient, redeemer, reward_caller]}, cold: {file: cold}}
secrets: {join: {file: join}, store: {file: store}, other: {file: other}}
defaults: {network: {name: arbitrum-one-mainnet, rpc: ["https://rpc.example:1"]}}
hosts:
  orch:
    address: 10.0.0.1
    role: orchestrator
    duties: [reward, redemption]
    orchestrator: {service_uri: "https://10.0.0.1:8935", key: hot, worker_secret: join}
    prices: {video: 1000 wei}
  work:
    address: 10.0.0.2
    role: worker
    duties: [transcoding]
    worker: {orchestrator: "10.0.0.1:8935", secret: join}
"""


def rows() -> Iterator[tuple[str, str]]:
    """Claim and what holds it, of every table with claims."""
    page = (ROOT / "deploys/SECURITY.md").read_text()
    for table in re.findall(r"\| claim \| held by \|\n\|[- |]+\|\n((?:\|.*\|\n)+)", page):
        for line in table.splitlines():
            claim, held = (cell.strip() for cell in line.strip("|").split(" | "))
            yield claim, held


CANNOT = [row for row in rows() if "cannot" in row[0]]


def named_in(file: Path) -> set[str]:
    names = (node for node in ast.walk(ast.parse(file.read_text())))
    return {n.name for n in names if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_page__speaks_of_every_place_and_has_claims() -> None:
    text = (ROOT / "deploys/SECURITY.md").read_text()
    assert [place for place in PLACES if place not in text] == []
    assert len(CANNOT) > 30
    assert [claim for claim, _ in rows() if "cannot" not in claim and "can " not in claim] == []


@pytest.mark.parametrize(("claim", "held"), CANNOT, ids=[claim[:60] for claim, _ in CANNOT])
def test_cannot__names_a_test_that_is_there__or_says_why_there_is_none(claim: str, held: str) -> None:
    if held.startswith("no test"):
        assert len(held) > len("no test: ") + 10, f"{claim}: no reason is given"
        return
    path, _, name = held.partition("::")
    assert (ROOT / path).is_file(), f"{claim}: {path} is not there"
    assert name in named_in(ROOT / path), f"{claim}: {path} has no {name}"


def test_worker__gets_its_join_secret_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(FLEET)
    fleet = load_fleet(tmp_path / "fleet.yaml")
    node = fleet.node("work")
    assert [item.host_path for item in fleet.secrets_to_send("work")] == ["secrets/join"]
    assert (node.keys, node.secrets) == ({}, {"join": "secrets/join"})
    assert [item.name for item in fleet.secrets_to_send("orch")] == ["keys.hot", "secrets.join"]


def test_fleet_file__has_no_place_for_a_secret_itself(tmp_path: Path) -> None:
    assert set(SecretRef.model_fields) == {"file", "env", "host_file", "command"}
    for wrong in ("join: {value: s3cret-in-the-clear}", "join: s3cret-in-the-clear"):
        (tmp_path / "fleet.yaml").write_text(FLEET.replace("join: {file: join}", wrong))
        with pytest.raises(SpecError, match=r"fleet\.yaml:4:"):
            load_fleet(tmp_path / "fleet.yaml")
