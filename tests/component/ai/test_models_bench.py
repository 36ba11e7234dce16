"""`livefleet models bench` on a real tiny model."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from livefleet.cli import main

pytestmark = pytest.mark.component


def a_node(folder: Path, *models: dict) -> Path:
    node = {
        "fleet": "f", "name": "n", "role": "worker", "gpus": "none", "duties": {"ai": {}},
        "worker": {"orchestrator": "o:8935", "secret": "s"}, "secrets": {"s": "secrets/s"},
        "models": list(models),
        "root": str(folder),
    }  # fmt: skip
    path = folder / "node.yaml"
    path.write_text(json.dumps(node))
    return path


def run(*words: str):
    return CliRunner().invoke(main, ["models", "bench", *words])


def test_bench__tiny_model_and_one_whose_files_are_missing__measures_one_and_says_why_not_the_other(
    tiny_model, tmp_path
):
    node = a_node(
        tmp_path,
        {"pipeline": "text-to-image", "model_id": "tiny", "source": str(tiny_model), "device": "cpu"},
        {"pipeline": "text-to-image", "model_id": "far/away", "device": "cpu"},
    )
    done = run("--node", str(node), "--jobs", "3", "--field", "num_inference_steps=4", "--json")
    assert done.exit_code == 1, done.output
    told = {model["model"]: model for model in json.loads(done.stdout)["models"]}
    tiny = told["tiny"]
    assert tiny["error"] is None
    assert tiny["units"] == 64 * 64
    assert 0 < tiny["min_s"] <= tiny["median_s"] <= tiny["max_s"] < tiny["load_s"]
    assert tiny["units_per_s"] == pytest.approx(tiny["units"] / tiny["median_s"])
    assert 50e6 < tiny["loaded_bytes"] <= tiny["peak_bytes"] < 5e9
    assert told["far/away"]["error"] == "its files are not here; livefleet models pull far/away"


def test_bench__field_out_of_its_limits__is_told(tiny_model, tmp_path):
    node = a_node(
        tmp_path, {"pipeline": "text-to-image", "model_id": "tiny", "source": str(tiny_model), "device": "cpu"}
    )
    done = run("--node", str(node), "--field", "num_inference_steps=0")
    assert done.exit_code == 3
    assert "num_inference_steps" in done.output
    assert run("--node", str(node), "--field", "steps").exit_code == 2
