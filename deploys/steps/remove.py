"""Taking the agent off a host."""

import shlex

from deploys.facts import Observed
from deploys.outcome import Outcome, refuse, sh
from deploys.steps.firewall import forget_firewall
from deploys.steps.machine import forget_machine
from deploys.steps.monitoring import forget_programs
from deploys.steps.secret_place import sealed_path
from deploys.steps.service import supervisor_command
from deploys.steps.unit import UNIT_PATH
from livefleet.spec import NodeSpec

__all__ = ["remove"]


def remove(node: NodeSpec, opt: str, facts: Observed | None, *, purge: bool, present: bool) -> Outcome:
    """Stop, disable, delete; the firewall's table and the machine's settings go too.

    The state folder (keys, tickets not yet redeemed) and sealed credentials go only with `purge`.
    """
    if facts is None:
        return refuse("the host did not run a shell command to its end; try `ssh` to it with the same user and key")
    paths = node.paths
    gone = [opt, str(paths.config), str(paths.run), str(paths.log), *([str(paths.state)] if purge else [])]
    if not present and not facts.active:
        return Outcome(notes=("nothing of livefleet is here",))
    supervisor = shlex.quote(f"{opt}/supervise.py")
    lines = [f"if [ -e {supervisor} ]; then {supervisor_command(node, opt, 'stop', None)}; fi"]
    if node.root == "/":
        lines += [
            f"if [ -e {UNIT_PATH} ]; then systemctl disable --now --quiet livefleet.service; rm -f {UNIT_PATH};",
            "systemctl daemon-reload; fi",
            *forget_firewall(),
            *forget_machine(),
            *forget_programs(),
            *([f"rm -f {sealed_path('')}*"] if purge else []),
        ]
    lines.append(f"rm -rf {' '.join(shlex.quote(path) for path in gone)}")
    if node.root != "/":
        lines.append(f"cd / && find {shlex.quote(node.root)} -depth -type d -empty -delete")
    kept = () if purge else (f"{paths.state} is kept (keys, tickets); remove it with purge=true",)
    timeout_s = int(node.service.stop_timeout_s) + 120
    return Outcome(commands=(sh(lines, timeout_s=timeout_s),), notes=("stop the agent, delete its tree", *kept))
