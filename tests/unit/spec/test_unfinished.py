"""What a right spec still lacks before it can be applied."""

from pathlib import Path

import pytest

from livefleet.spec import unfinished
from tests.builders.spec import a_fleet

pytestmark = pytest.mark.unit


def lacking(
    folder: Path, *, address: str = "10.0.0.1", secret: str = "{file: join}", environ: dict | None = None
) -> list[str]:
    fleet = a_fleet(
        folder,
        f"""\
name: demo
network: offchain
secrets: {{join: {secret}}}
defaults: {{role: worker, duties: [transcoding], worker: {{orchestrator: "10.0.0.9:8935", secret: join}}}}
hosts:
  a: {{address: "{address}"}}
  b: {{address: 10.0.0.2}}
""",
    )
    return [str(problem).removeprefix(f"{folder}/") for problem in unfinished(fleet, environ or {})]


@pytest.mark.parametrize(
    "address", ["gpu.example.com", "EXAMPLE.org", "a.b.example", "x.invalid", "203.0.113.7", "192.0.2.1", "2001:db8::7"]
)
def test_placeholder__in_an_address__is_told_once_with_its_place(tmp_path: Path, address: str) -> None:
    (tmp_path / "join").write_text("x")
    assert lacking(tmp_path, address=address) == [
        f"fleet.yaml:6:16: {address} is a placeholder, kept for documents; say your own"
    ]


@pytest.mark.parametrize("address", ["gpu.example.com.de", "myexample.com", "203.0.114.7", "1203.0.113.7x", "example"])
def test_placeholder__only_looks_like_one__is_not(tmp_path: Path, address: str) -> None:
    (tmp_path / "join").write_text("x")
    assert lacking(tmp_path, address=address) == []


def test_secret__two_hosts_need_an_absent_file__is_told_once(tmp_path: Path) -> None:
    (told,) = lacking(tmp_path)
    assert told == "fleet.yaml:3:11: secrets.join: no file join yet; put the secret there, readable by you alone"


def test_secret__in_a_variable__is_told_while_it_is_not_set(tmp_path: Path) -> None:
    (told,) = lacking(tmp_path, secret="{env: JOIN}")
    assert "the environment variable JOIN is not set" in told
    assert lacking(tmp_path, secret="{env: JOIN}", environ={"JOIN": "x"}) == []


@pytest.mark.parametrize("secret", ["{command: [pass, show, join]}", "{host_file: /etc/join}"])
def test_secret__of_a_program_or_on_the_host__is_not_looked_for(tmp_path: Path, secret: str) -> None:
    assert lacking(tmp_path, secret=secret) == []
