"""`orchestrator.auth_webhook`: a URL, or the name of the secret that holds it."""

from pathlib import Path

import pytest

from livefleet.spec import load_node, to_yaml
from tests.builders.spec import HEAD, a_fleet, problems

pytestmark = pytest.mark.unit

URL = "https://auth.example.com/gateways?token=t"


def a_host(webhook: str) -> str:
    settings = f"{{service_uri: 'https://o.example.com:8935', auth_webhook: '{webhook}'}}"
    return f"o: {{address: o, role: orchestrator, duties: [transcoding], orchestrator: {settings}}}"


def test_auth_webhook__url__survives_the_way_to_the_host(tmp_path: Path) -> None:
    node = a_fleet(tmp_path, f"{HEAD}hosts:\n  {a_host(URL)}\n").node("o")
    assert node.orchestrator is not None
    assert (node.orchestrator.auth_webhook, node.orchestrator.auth_webhook_secret) == (URL, None)
    (tmp_path / "node.yaml").write_text(to_yaml(node))
    assert load_node(tmp_path / "node.yaml") == node


def test_auth_webhook__name_of_a_secret__the_secret_goes_to_the_host(tmp_path: Path) -> None:
    head = HEAD.replace("{pool:", "{hook: {file: hook.txt}, pool:")
    node = a_fleet(tmp_path, f"{head}hosts:\n  {a_host('hook')}\n").node("o")
    assert node.orchestrator is not None
    assert node.orchestrator.auth_webhook_secret == "hook"
    assert node.secrets == {"hook": "secrets/hook"}


def test_auth_webhook__not_declared__is_every_gateway_served(tmp_path: Path) -> None:
    host = "o: {address: o, role: orchestrator, orchestrator: {service_uri: 'https://o.example.com:8935'}}"
    node = a_fleet(tmp_path, f"{HEAD}hosts:\n  {host}\n").node("o")
    assert node.orchestrator is not None
    assert (node.orchestrator.auth_webhook, node.orchestrator.auth_webhook_secret) == (None, None)


@pytest.mark.parametrize(
    ("webhook", "told"),
    [
        ("poool", "no secret `poool` under `secrets` (o); did you mean `pool`?"),
        ("ftp://example.com", "auth_webhook"),
        ("https:///nobody", "auth_webhook"),
        ("two words", "auth_webhook"),
    ],
)
def test_auth_webhook__neither_url_nor_secret__is_a_problem(tmp_path: Path, webhook: str, told: str) -> None:
    (problem,) = problems(tmp_path, f"{HEAD}hosts:\n  {a_host(webhook)}\n")
    assert told in problem
