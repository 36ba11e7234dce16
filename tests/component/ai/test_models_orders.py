"""`livefleet models load|unload|list` with a whole agent: a request outlives it, and is followed to its end."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from livefleet.cli import main
from livefleet.kernel.incarnation import incarnation
from livefleet.spec import load_model_orders
from tests.builders.agents import an_agent
from tests.builders.ai import MODEL_ID

pytestmark = pytest.mark.component

T2I = "text-to-image"


def test_orders__unloaded_before_the_start_then_loaded_then_unloaded__are_followed_and_told(
    tiny_model: Path, tmp_path: Path
):
    entries = [
        {"pipeline": T2I, "model_id": MODEL_ID, "source": str(tiny_model), "device": "cpu"},
        {"pipeline": "llm", "model_id": "elsewhere/llm", "url": "http://127.0.0.1:9"},
        {"pipeline": T2I, "model_id": "no/files", "source": "nowhere at all", "device": "cpu", "warm": False},
    ]
    with an_agent(
        tmp_path,
        start=False,
        role="orchestrator",
        network={"name": "offchain"},
        duties={"ai": True},
        gpus="none",
        models=entries,
    ) as agent:

        def run(*arguments: str) -> Result:
            return CliRunner().invoke(main, ["models", *arguments, "--node", str(agent.node_yaml)])

        def now(model_id: str = MODEL_ID) -> str:
            models = json.loads(run("list", "--json").stdout)["models"]
            (found,) = [model["now"] for model in models if model["model"] == model_id]
            return found

        def pids() -> list[int | None]:
            return [r["pid"] for r in agent.status()["model_runners"]["runners"] if r["model_id"] == MODEL_ID]

        never = run("unload", T2I, MODEL_ID)
        assert (never.exit_code, "has never run here" in never.stderr) == (2, True)
        state = agent.root / "var/lib/livefleet"
        state.mkdir(parents=True, mode=0o700, exist_ok=True)

        # Nobody there to follow it: it stands.
        gone = run("unload", T2I, MODEL_ID, "--until-restart")
        assert (gone.exit_code, "no agent runs" in gone.stderr) == (3, True)
        asked = run("unload", T2I, MODEL_ID, "--reason", "new driver")
        assert (asked.exit_code, "no agent runs; once one does, it keeps the model away" in asked.stdout) == (0, True)

        agent.start(ready=False)
        agent.until("it is put away", lambda status: "model_runners" in status)
        condition = agent.until_condition("ModelWarm", "Unloaded", subject=MODEL_ID)
        assert "(new driver)" in condition["message"]
        assert (now(), pids()) == ("unloaded", [None])

        # Asked back: steps and the end on the way, whatever was declared.
        loaded = run("load", T2I, MODEL_ID)
        assert loaded.exit_code == 0, loaded.stderr
        assert f"{MODEL_ID} ({T2I}): loaded on cpu in " in loaded.stdout
        assert f"{MODEL_ID} on cpu: loading: pipeline, " in loaded.stderr
        assert (now(), pids() != [None]) == ("warm", True)
        again = run("load", T2I, MODEL_ID, "--json")
        assert (again.exit_code, json.loads(again.stdout)["ending"]) == (0, "done")

        # Refused where it cannot be: by what is declared, and by the agent.
        for arguments, text in (
            (("load", T2I, "livefleet/tini"), f"did you mean `{MODEL_ID}`?"),
            (("load", "text-to-imag", MODEL_ID), "did you mean `text-to-image`?"),
            (("unload", "llm", "elsewhere/llm"), "served at http://127.0.0.1:9, which loads and unloads it"),
        ):
            refused = run(*arguments)
            assert (refused.exit_code, text in refused.stderr) == (2, True)
        missing = run("load", T2I, "no/files")
        assert (missing.exit_code, "no folder" in missing.stderr) == (1, True)

        # Until the restart: it holds for this run of the agent alone.
        away = run("unload", T2I, MODEL_ID, "--until-restart", "--json")
        told = json.loads(away.stdout)
        assert (away.exit_code, told["ending"], told["runners"][0]["state"]) == (0, "done", "unloaded")
        assert (now(), pids()) == ("unloaded", [None])
        (order,) = [one for one in load_model_orders(state).models if one.model_id == MODEL_ID]
        assert agent.process is not None
        assert order.incarnation == incarnation(agent.process.pid)
