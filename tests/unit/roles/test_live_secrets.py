"""Secrets that change under a serving role: read again when a file does."""

import os

import pytest

from livefleet.kernel import BadInput, ConditionBoard, Status
from livefleet.roles.live_secrets import CONDITION, SecretWatch, certificate_of, worker_secrets_of
from livefleet.spec import NodeSpec
from tests.builders.clock import HandClock

pytestmark = pytest.mark.unit

WINDOW = {"secret": "old", "until": "2026-12-01T00:00Z"}


def a_node(folder, **orchestrator):
    data = {
        "fleet": "f", "name": "n", "root": str(folder), "role": "orchestrator", "network": {"name": "offchain"},
        "orchestrator": {"service_uri": "https://127.0.0.1:1", **orchestrator},
        "secrets": {name: f"secrets/{name}" for name in ("new", "old", "pem", "key")},
    }  # fmt: skip
    node = NodeSpec.model_validate(data)
    (node.paths.state / "secrets").mkdir(parents=True, exist_ok=True)
    return node


def put(node, name, text, *, at=None):
    path = node.paths.state / "secrets" / name
    path.write_text(text)
    if at is not None:
        os.utime(path, (at, at))


def test_worker_secrets__with_a_window__are_both(tmp_path):
    node = a_node(tmp_path, worker_secret="new", worker_secret_before=WINDOW)
    put(node, "new", "n\n")
    put(node, "old", "o")
    found = worker_secrets_of(node, node.orchestrator)
    assert (found.current, found.former, found.former_until) == ("n", "o", 1796083200.0)


def test_worker_secrets__none_said__no_workers(tmp_path):
    node = a_node(tmp_path)
    assert worker_secrets_of(node, node.orchestrator) is None


def test_worker_secrets__file_of_the_former_is_missing__says_which(tmp_path):
    node = a_node(tmp_path, worker_secret="new", worker_secret_before=WINDOW)
    put(node, "new", "n")
    with pytest.raises(BadInput, match="cannot read the secret 'old'"):
        worker_secrets_of(node, node.orchestrator)


def test_certificate__with_and_without_a_key_of_its_own(tmp_path):
    both = a_node(tmp_path, tls={"certificate": "pem", "key": "key"})
    assert certificate_of(both, both.orchestrator).key == both.paths.state / "secrets/key"
    one = a_node(tmp_path, tls={"certificate": "pem"})
    assert certificate_of(one, one.orchestrator).key == one.paths.state / "secrets/pem"
    none = a_node(tmp_path)
    assert certificate_of(none, none.orchestrator) is None


def test_watch__a_file_changes__is_heard_once_and_a_fault_is_told_until_it_is_gone(tmp_path):
    node = a_node(tmp_path, worker_secret="new")
    put(node, "new", "1", at=100)
    heard = []

    def changed():
        heard.append(worker_secrets_of(node, node.orchestrator).current)

    board = ConditionBoard(HandClock())
    watch = SecretWatch(lambda: node, changed, board)
    watch.look()
    assert heard == []
    put(node, "new", "2", at=200)
    watch.look()
    watch.look()
    assert heard == ["2"]
    (node.paths.state / "secrets/new").unlink()
    watch.look()
    told = next(c for c in board.all() if c.name == CONDITION)
    assert (told.status, told.reason, told.gates_ready) == (Status.FALSE, "NotTaken", False)
    assert "cannot read the secret 'new'" in told.message
    put(node, "new", "3", at=300)
    watch.look()
    assert heard == ["2", "3"]
    assert next(c for c in board.all() if c.name == CONDITION).status is Status.TRUE
