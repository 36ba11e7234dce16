"""What is sent to hosts runs there with nothing but an old Python's standard library."""

import ast
import sys
from pathlib import Path

import pytest

import livefleet.control.host
from livefleet.control.host import diagnostics_program, logs_program
from tests.builders.deploys import a_node

pytestmark = pytest.mark.unit

SENT = ("masking", "known", "logs", "diagnostics")
FOLDER = Path(livefleet.control.host.__file__).parent


@pytest.mark.parametrize("name", SENT)
def test_module__is_of_the_standard_library_and_python_3_9(name: str) -> None:
    tree = ast.parse((FOLDER / f"{name}.py").read_text(), feature_version=(3, 9))
    imported = {
        module
        for node in ast.walk(tree)
        for module in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    before = {f"livefleet.control.host.{other}" for other in SENT[: SENT.index(name)]}
    assert {module for module in imported - before if module.partition(".")[0] not in sys.stdlib_module_names} == set()


def test_program__is_the_same_each_time_and_says_where_secrets_lie_but_not_what_they_are() -> None:
    node = a_node(
        secrets={"join": "secrets/join", "other": "/run/credentials/livefleet.service/secrets.other"},
        keys={"hot": {"file": "keys/hot", "password_file": "passwords/hot"}},
    )
    program = diagnostics_program(node, deadline_s=60)
    assert program == diagnostics_program(node, deadline_s=60)
    for place in (
        "/var/lib/livefleet/secrets/join",
        "/run/credentials/livefleet.service/secrets.other",
        "passwords/hot",
    ):
        assert place in program.stdin.decode()
    assert program.words[:2] == ("python3", "-c")
    assert int(program.words[-1]) == len(program.stdin)
    assert logs_program(node, lines=1, since=None, follow=True).timeout_s is None


@pytest.mark.parametrize(
    ("listen", "asked"),
    [("0.0.0.0:7936", "http://127.0.0.1:7936"), ("[::]:7", "http://[::1]:7"), ("10.0.0.1:8", "http://10.0.0.1:8")],
)
def test_program__admin_endpoint_is_asked_where_it_listens(listen: str, asked: str) -> None:
    node = a_node(monitoring={"admin_listen": listen})
    assert f'"{asked}"' in diagnostics_program(node, deadline_s=1).stdin.decode()
