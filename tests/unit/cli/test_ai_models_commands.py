"""`livefleet import|export ai-models`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from livefleet.cli import main
from livefleet.spec import load_fleet

pytestmark = pytest.mark.unit

MODELS = [
    {"pipeline": "text-to-image", "model_id": "a/b", "warm": True, "price_per_unit": 0.5, "currency": "USD"},
    {"pipeline": "llm", "model_id": "c", "price_per_unit": 7, "url": "http://x", "token": "s3cret", "capacity": 3},
]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_import__then_export__says_the_same(tmp_path: Path) -> None:
    (tmp_path / "aiModels.json").write_text(json.dumps(MODELS))
    imported = run("import", "ai-models", tmp_path / "aiModels.json", "--secrets", tmp_path / "secrets")
    assert (imported.exit_code, imported.stderr) == (0, "")
    assert "s3cret" not in imported.output
    token = tmp_path / "secrets/ai-runner-1"
    assert (token.read_text(), token.stat().st_mode & 0o777) == ("s3cret", 0o600)
    indented = "".join(f"    {line}\n" for line in imported.stdout.partition("models:")[2].splitlines())
    secrets = imported.stdout.partition("models:")[0].partition("secrets:\n")[2]
    (tmp_path / "fleet.yaml").write_text(
        f"name: f\nnetwork: offchain\nsecrets:\n  pool: {{env: POOL}}\n{secrets}hosts:\n  w:\n    address: w\n"
        f"    role: worker\n    worker: {{orchestrator: 'o:1', secret: pool}}\n    duties: [ai]\n"
        f"    models:\n{indented}"
    )

    exported = run("export", "ai-models", "w", "--fleet", tmp_path / "fleet.yaml")
    with_tokens = run("export", "ai-models", "w", "--fleet", tmp_path / "fleet.yaml", "--tokens")

    assert load_fleet(tmp_path / "fleet.yaml").node("w").models[1].token == "ai-runner-1"
    assert exported.stderr == "note: c: its token is left out\n"
    told = json.loads(with_tokens.stdout)
    assert told == [MODELS[0] | {"price_per_unit": 1, "pixels_per_unit": 2}, MODELS[1]]


def test_import__inline__is_read() -> None:
    result = run("import", "ai-models", "llm:a/b:true,upscale:c:false")

    assert result.stdout == (
        "models:\n- pipeline: llm\n  model_id: a/b\n  warm: true\n- pipeline: upscale\n  model_id: c\n  warm: false\n"
    )


def test_import__wrong__tells_every_mistake_and_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('[{"pipeline": "x"},\n {"pipeline": "llm", "warm": 1}]')

    result = run("import", "ai-models", tmp_path / "m.json")

    assert result.exit_code == 2
    assert f"{tmp_path}/m.json:1:15: Pipeline is not valid capability: x\n" in result.stderr
    assert f"{tmp_path}/m.json:2:30: json: cannot unmarshal number into Go struct field" in result.stderr


def test_import__no_such_file__ends_with_2(tmp_path: Path) -> None:
    assert run("import", "ai-models", tmp_path / "m.json").exit_code == 2


def test_import__tokens_without_a_folder__are_noted(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps(MODELS))

    result = run("import", "ai-models", tmp_path / "m.json", "--json")

    assert "1 tokens are not written" in result.stderr
    assert "s3cret" not in result.output
    assert json.loads(result.stdout)["secrets"] == {"ai-runner-1": {"file": "secrets/ai-runner-1"}}
