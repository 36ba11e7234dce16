"""`livefleet models pull|list` against a hub on loopback."""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from livefleet.cli import main
from livefleet.cli.models.declared import as_owner
from tests.builders.hub import COMMIT, FakeHub, a_hub

pytestmark = pytest.mark.component

FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 1000}


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with a_hub() as hub:
        hub.add("owner/words", FILES)
        hub.add("owner/sight", FILES | {"config.json": b'{"b": 2}'})
        yield hub


@pytest.fixture
def node(tmp_path: Path, hub: FakeHub) -> Path:
    path = tmp_path / "node.yaml"
    path.write_text(f"""\
fleet: f
name: n
role: worker
root: {tmp_path}
worker: {{orchestrator: 'o:1', secret: pool}}
secrets: {{pool: secrets/pool}}
monitoring: {{admin_listen: '127.0.0.1:1'}}
duties: {{ai: {{weights: {{hub: '{hub.url}', keep_free: 1}}}}}}
models:
- {{pipeline: llm, model_id: words, source: owner/words, device: cpu}}
- {{pipeline: image-to-text, model_id: owner/sight, warm: false, device: cpu}}
- {{pipeline: llm, model_id: outside, url: 'http://127.0.0.1:9'}}
""")
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["models", *map(str, arguments)])


def told(result: Result) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_pull__all__then_list__says_they_are_here(node: Path, hub: FakeHub) -> None:
    before = run("list", "--node", node)
    pulled = run("pull", "--node", node)
    after = run("list", "--node", node)

    assert (before.exit_code, pulled.exit_code, after.exit_code) == (1, 0, 0)
    assert before.stdout.count("missing") == 2
    assert f"owner/words at {COMMIT[:10]}: 2 files, 0.0 MB, 0.0 MB fetched; " in pulled.stdout
    assert after.stdout.count(COMMIT[:10]) == 2
    assert "http://127.0.0.1:9" in after.stdout
    assert "no agent answers" in after.stderr


def test_pull__of_one__fetches_no_other(node: Path, hub: FakeHub) -> None:
    result = run("pull", "words", "--node", node, "--json")

    assert result.exit_code == 0
    assert [model["model"] for model in told(result)["models"]] == ["words"]
    assert {path.split("/resolve/")[0] for path in hub.files_asked()} == {"/owner/words", "/cdn/owner/words"}


def test_pull__one_cannot_be_had__ends_with_1_and_the_other_is_here(node: Path, hub: FakeHub) -> None:
    del hub.repositories["owner/words"]

    result = run("pull", "--node", node)

    assert result.exit_code == 1
    assert "words: " in result.stderr
    assert "status 404" in result.stderr
    assert "owner/sight at" in result.stdout


def test_pull__none_can_be_had__ends_with_3(node: Path, hub: FakeHub) -> None:
    hub.repositories.clear()

    assert run("pull", "--node", node).exit_code == 3


def test_as_owner__root__writes_as_the_nodes_user() -> None:
    assert os.geteuid() == 0, "only root writes for others: run the tests as root"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "state").mkdir()
        os.chown(folder / "state", 65534, 65534)

        with as_owner(folder / "state"):
            (folder / "state/file").write_bytes(b"")

        assert (folder / "state/file").stat().st_uid == 65534
        assert os.geteuid() == 0


def test_pull__folder_that_cannot_be_written__is_told(node: Path, tmp_path: Path) -> None:
    (tmp_path / "var/lib/livefleet").mkdir(parents=True)
    (tmp_path / "var/lib/livefleet/models").write_bytes(b"a file")

    result = run("pull", "--node", node)

    assert result.exit_code == 3
    assert "models: Not a directory" in result.stderr


def test_pull__unknown_model__ends_with_2(node: Path) -> None:
    result = run("pull", "word", "--node", node)

    assert result.exit_code == 2
    assert "no model `word`; did you mean `words`?" in result.stderr


def test_verify__spoilt_file__is_told_and_fetched_anew(node: Path, tmp_path: Path, hub: FakeHub) -> None:
    run("pull", "--node", node)
    path = tmp_path / "var/lib/livefleet/models/owner/words/resolve" / COMMIT / "model.safetensors"
    path.write_bytes(b"\0" * path.stat().st_size)

    listed = run("list", "--verify", "--node", node, "--json")
    quick = run("pull", "--node", node, "--json")
    thorough = run("pull", "--verify", "--node", node, "--json")
    again = run("list", "--verify", "--node", node)

    assert listed.exit_code == 1
    assert told(listed)["models"][0]["parts"][0]["damaged"] == ["model.safetensors"]
    assert [model["fetched"] for model in told(quick)["models"]] == [0, 0]
    assert [model["fetched"] for model in told(thorough)["models"]] == [7000, 0]
    assert again.exit_code == 0
    assert again.stdout.count("2, verified") == 2
