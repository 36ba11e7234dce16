"""The agent's own process stays free of what models need: small, and safe from their native code."""

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import livefleet
from tests.builders.agents import an_agent
from tests.builders.ai import MODEL_ID

pytestmark = pytest.mark.component

HEAVY = ("torch", "diffusers", "transformers", "faster_whisper", "ctranslate2", "onnxruntime", "piper", "PIL")
MODEL_START_S = 180


def loaded_by(*modules: str) -> str:
    names = ", ".join(modules)
    code = f"import sys, {names}; print([m for m in {HEAVY} if m in sys.modules])"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_import__of_the_agent__brings_none_of_it():
    assert loaded_by("livefleet.app", "livefleet.cli.main", "livefleet.cli.agent") == "[]"


def test_import__of_every_kind_and_its_files__brings_none_of_it():
    folder = Path(livefleet.__file__).parent / "ai"
    modules = [
        name
        for _, name, _ in pkgutil.walk_packages([str(folder)], "livefleet.ai.")
        if not name.endswith(("__main__", ".cli"))
    ]
    assert "livefleet.ai.pipelines.text_to_image" in modules
    assert loaded_by(*modules) == "[]"


def mapped(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


def test_agent__that_serves_a_model__has_none_of_it_mapped_and_its_runner_has(tiny_model: Path, tmp_path: Path):
    entry = {"pipeline": "text-to-image", "model_id": MODEL_ID, "source": str(tiny_model), "device": "cpu"}
    with an_agent(
        tmp_path,
        start=False,
        role="orchestrator",
        network={"name": "offchain"},
        duties={"ai": True},
        gpus="none",
        models=[entry],
    ) as agent:
        agent.start(timeout_s=MODEL_START_S)
        family = [process.pid for process in agent.family()]
        (runner,) = (pid for pid in family if "livefleet.ai.runner" in Path(f"/proc/{pid}/cmdline").read_text())
        assert "libtorch" in mapped(runner)
        for pid in family:
            if pid != runner:
                assert not [name for name in ("libtorch", "ctranslate2", "onnxruntime") if name in mapped(pid)]
