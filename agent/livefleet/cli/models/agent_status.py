"""What the agent on this machine says of its models."""

from collections.abc import Sequence
from typing import Any

from livefleet.kernel.pid_file import PID_FILE, holder_of
from livefleet.spec import NodeSpec

__all__ = ["agent_pid", "load_text", "not_placed", "runners_of"]


def runners_of(status: dict[str, Any], pipeline: str, model_id: str) -> Sequence[dict[str, Any]]:
    """The model's runners; none while the agent has not opened its models."""
    part = status.get("model_runners")
    runners = part.get("runners") if isinstance(part, dict) else None
    return [
        runner for runner in (runners if isinstance(runners, list) else [])
        if isinstance(runner, dict) and (runner.get("pipeline"), runner.get("model_id")) == (pipeline, model_id)
    ]  # fmt: skip


def not_placed(status: dict[str, Any], model_id: str) -> str:
    """Why the agent has no runner for a model; empty where it has, or does not say."""
    if "model_runners" not in status:
        return ""
    conditions = status.get("conditions")
    told = [
        str(condition.get("message")) for condition in (conditions if isinstance(conditions, list) else [])
        if (condition.get("name"), condition.get("subject"), condition.get("status"))
        == ("ModelPlaced", model_id, "false")
    ]  # fmt: skip
    return "; ".join(told) or "the agent has no runner for it"


def load_text(runner: dict[str, Any]) -> str:
    """`loading: pipeline, 4 of 9 s`; the runner's state where nothing loads."""
    loading = runner.get("loading")
    if not loading:
        return str(runner.get("state", "unknown"))
    about = "" if loading["is_measured"] else "about "
    if not loading["elapsed_s"]:
        return f"loading: {loading['step']}, {loading['step_s']:.0f} s"
    return f"loading: {loading['step']}, {loading['elapsed_s']:.0f} of {about}{loading['expected_s']:.0f} s"


def agent_pid(spec: NodeSpec) -> int | None:
    """The agent's process; None where none runs."""
    return holder_of(spec.paths.run / PID_FILE)
