"""Emptying a host before somebody works on it: the agent's own command, run there."""

import shlex

from deploys.facts import Observed
from deploys.outcome import Outcome, refuse, sh
from livefleet.spec import NodeSpec
from livefleet.spec.duration import parse_duration

__all__ = ["drain"]

_MARGIN_S = 120


def drain(
    node: NodeSpec,
    opt: str,
    facts: Observed | None,
    *,
    deadline: str = "10m",
    reason: str = "",
    device: str = "",
    off: bool = False,
    wait: bool = False,
) -> Outcome:
    """Ask the agent, anew each run, or take that back (`off`). With `wait` the host is done when it is emptied."""
    if facts is None:
        return refuse("the host did not run a shell command to its end; try `ssh` to it with the same user and key")
    if not facts.current:
        return refuse("nothing of livefleet is here: apply first")
    try:
        patience_s = parse_duration(deadline)
    except ValueError as error:
        return refuse(str(error))
    words = [f"{opt}/current/venv/bin/livefleet", "agent", "drain", str(node.paths.node_yaml)]
    words += [f"--device={device}"] if device else []
    words += ["--off"] if off else [f"--deadline={deadline}", f"--reason={reason}"]
    words += ["--wait"] if wait and not off else []
    note = "serve again" if off else f"empty {device or 'the node'}, running streams may go on for {deadline}"
    timeout_s = int(patience_s if wait else 0) + _MARGIN_S
    return Outcome(commands=(sh([shlex.join(words)], timeout_s=timeout_s),), notes=(note,))
