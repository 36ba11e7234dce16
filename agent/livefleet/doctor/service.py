"""The running node: does it run, does it answer, what does it say of itself, does it run what lies there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.error import URLError
from urllib.request import urlopen

from livefleet.kernel.pid_file import PID_FILE, holder_of
from livefleet.monitoring.conditions import condition_advice
from livefleet.spec import Finding, Grade, NodeSpec, Trouble
from livefleet.spec.digest import digest_in_short

__all__ = ["NodeView", "judge_node", "look_at_node"]

_TIMEOUT_S: Final = 5.0
_MOST: Final = 32 << 20
_READ_LOG: Final = "read the node's log: `journalctl -u livefleet -n 50`"


@dataclass(frozen=True, slots=True)
class NodeView:
    """What was found of the agent."""

    pid: int | None  # None: no agent of this node runs
    open_files: int | None  # its limit
    answer: Mapping[str, Any] | None  # /status
    error: str = ""  # why there is no answer


def look_at_node(spec: NodeSpec) -> NodeView:
    """Ask it. Blocks for a few seconds at most."""
    pid = holder_of(spec.paths.run / PID_FILE)
    limit = _open_files(pid)
    host, _, port = spec.monitoring.admin_listen.rpartition(":")
    at = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 -- not bound, asked
    try:
        with urlopen(f"http://{at}:{port}/status", timeout=_TIMEOUT_S) as reply:
            answer = json.loads(reply.read(_MOST))
    except (URLError, OSError, ValueError) as error:
        return NodeView(pid, limit, None, str(getattr(error, "reason", error)))
    if not isinstance(answer, dict) or answer.get("name") != spec.name:
        return NodeView(pid, limit, None, "another program has the admin address")
    return NodeView(pid, limit, answer)


def judge_node(view: NodeView, *, listen: str, digest: str) -> list[Finding]:
    """What it means; `digest` is of the node.yaml that lies there. Pure."""
    if view.answer is None:
        return [_silent(view, listen)]
    found = [
        Finding(area="service", what="agent", grade=Grade.OK, message=f"answers at {listen}, version "
                f"{view.answer.get('version')}, release {view.answer.get('release')}"),
        _drift(view.answer, digest),
    ]  # fmt: skip
    return [*found, *_conditions(view.answer.get("conditions", ()))]


def _silent(view: NodeView, listen: str) -> Finding:
    if view.pid is None:
        trouble, text = Trouble.AGENT_DOWN, "no agent of this node runs"
        fix = "see why: `systemctl status livefleet`, `journalctl -u livefleet -n 50`; then `systemctl start livefleet`"
    else:
        trouble, text = Trouble.AGENT_SILENT, f"process {view.pid} runs, and does not answer at {listen}: {view.error}"
        fix = "`livefleet logs HOST`; where it hangs, systemd's watchdog restarts it"
    return Finding(area="service", what="agent", grade=Grade.FAIL, message=text, fix=fix, trouble=trouble)


def _drift(answer: Mapping[str, Any], digest: str) -> Finding:
    runs = str(answer.get("digest", ""))
    if runs == digest:
        return Finding(area="spec", what="node.yaml", grade=Grade.OK, message="the node runs what lies there")
    if answer.get("pull"):
        text = "the node runs settings that it has pulled since"
        return Finding(area="spec", what="node.yaml", grade=Grade.OK, message=text)
    text = f"the node runs {digest_in_short(runs)}, node.yaml is {digest_in_short(digest)}"
    fix = "`systemctl reload livefleet`, or `livefleet apply`; the condition SpecCurrent says what needs a restart"
    return Finding(
        area="spec", what="node.yaml", grade=Grade.WARN, message=text, fix=fix, trouble=Trouble.SPEC_NOT_TAKEN
    )


def _conditions(told: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """What the node itself says does not hold. Those that keep it from serving are wrong, the others a warning."""
    found = []
    for condition in told:
        if condition.get("status") == "true":
            continue
        is_false = condition.get("status") == "false"
        gates = is_false and condition.get("gates_ready")
        found.append(
            Finding(
                area="node",
                what=f"{condition.get('name')} {condition.get('subject', '')}".strip(),
                grade=Grade.FAIL if gates else Grade.WARN,
                message=f"{condition.get('reason')}: {condition.get('message')}",
                fix=_advice(condition) if is_false else "ask again in a minute; where it stays so, " + _READ_LOG,
                trouble=Trouble.NODE_NOT_SERVING if gates else Trouble.NODE_CONDITION,
            )
        )
    if not found:
        found.append(Finding(area="node", what="conditions", grade=Grade.OK, message="all hold"))
    return found


def _advice(condition: Mapping[str, Any]) -> str:
    return str(condition.get("advice") or condition_advice(str(condition.get("name"))) or _READ_LOG)


def _open_files(pid: int | None) -> int | None:
    if pid is None:
        return None
    try:
        with open(f"/proc/{pid}/limits", encoding="ascii") as file:  # noqa: PTH123 -- one line of the kernel's
            line = next(line for line in file if line.startswith("Max open files"))
    except (OSError, StopIteration):
        return None
    soft = line.split()[3]
    return int(soft) if soft.isdigit() else 1 << 30
