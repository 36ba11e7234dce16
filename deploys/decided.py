"""What was decided for one host, as the event tells it: to show, to keep in a plan's file, and to compare with one.

Nothing in it shows a secret: contents of secret files are in no text, and their digests in none of the digests here. A
digest is of commands and inputs, so that it is another one as soon as something else would be done.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from deploys.facts import Observed
from deploys.outcome import Outcome, Shell, Upload
from livefleet.spec import masked_urls

__all__ = ["decided", "difference_to_plan"]

# Their commands name the operator, for the host's journal, and a stamp in which digests of secrets are; what they do is
# told whole by their notes, diffs and effects.
_BY_MEANING = ("config", "service")


def decided(
    steps: Sequence[tuple[str, Outcome]], facts: Observed | None, *, node_digest: str, release: str
) -> dict[str, Any]:
    """The event's fields, but the host's name. `release`: its id; empty where the host was refused before."""
    told = [_step(step, outcome) for step, outcome in steps]
    agent = next((outcome.agent for _, outcome in steps if outcome.agent), "")
    changed = [asdict(effect) for _, outcome in steps for effect in outcome.effects]
    return {
        "node": node_digest,
        "release": release,
        "agent": agent,
        "effects": changed,
        "steps": told,
        "hardware": _hardware(facts),
        "digest": _digest([node_digest, release, agent, *(step["digest"] for step in told)]),
    }


def difference_to_plan(planned: Mapping[str, Any] | None, now: Mapping[str, Any]) -> str | None:
    """Why a host is not as planned any more; None where it is. `planned`: its part of a plan's file."""
    if planned is None:
        return "it is not in the plan; plan again"
    if planned.get("reason"):
        return f"it could not be planned: {planned['reason']}; plan again"
    if planned["digest"] == now["digest"]:
        return None
    reasons = []
    if planned["node"] != now["node"]:
        reasons.append("its specification is another one")
    if planned["release"] != now["release"]:
        reasons.append(f"the release is {now['release'] or 'none'}, not {planned['release'] or 'none'}")
    if planned["agent"] != now["agent"]:
        reasons.append(f"the agent would {_doing(now['agent'])}, not {_doing(planned['agent'])}")
    before = {step["step"]: step["digest"] for step in planned["steps"]}
    after = {step["step"]: step["digest"] for step in now["steps"]}
    others = [step for step in dict.fromkeys([*before, *after]) if before.get(step) != after.get(step)]
    if others:
        reasons.append(f"other things would be done by {', '.join(others)}")
    return f"no longer as planned: {'; '.join(reasons) or 'the plan is of another version'}; plan again"


def _doing(action: str) -> str:
    return {"": "be left alone", "reload": "be told"}.get(action, action)


def _step(step: str, outcome: Outcome) -> dict[str, Any]:
    return {
        "step": step,
        "changes": bool(outcome.commands) and outcome.refusal is None,
        "refusal": outcome.refusal or "",
        "notes": [masked_urls(note) for note in outcome.notes],
        "diff": [masked_urls(line) for line in outcome.diff],
        "digest": _digest(_inputs(step, outcome)),
    }


def _inputs(step: str, outcome: Outcome) -> Iterable[str]:
    if outcome.refusal is not None:
        return ("refused",)
    effects = [json.dumps(asdict(effect)) for effect in outcome.effects]
    if step in _BY_MEANING:
        return (str(bool(outcome.commands)), outcome.agent, *outcome.notes, *outcome.diff, *effects)
    return (*map(_command, outcome.commands), *outcome.diff, *effects)


def _command(command: object) -> str:
    match command:
        case Shell(text=text, as_login_user=as_login_user):
            return f"shell {as_login_user} {text}"
        case Upload(source=source, dest=dest):
            return f"upload {source.name} {dest}"
        case _:
            return repr(command)


def _hardware(facts: Observed | None) -> dict[str, Any] | None:
    if facts is None:
        return None
    return {
        "devices": len(facts.nvidia_pci),
        "driver": facts.nvidia_loaded,
        "gpus": [{"uuid": uuid, "model": model} for uuid, model in facts.nvidia_gpus],
    }


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
