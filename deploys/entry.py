"""The deploys as pyinfra runs them: facts once, then the steps' decisions as operations, in order."""

import functools
import os
import time
from collections.abc import Generator, Iterable
from pathlib import Path

from pyinfra.api import FileUploadCommand, StringCommand, operation
from pyinfra.context import host, state

from deploys import steps
from deploys.facts import AgentAnswer, HostFacts, Observed
from deploys.outcome import Command, Outcome, Shell, Upload, refuse
from deploys.release import Platform, Release, ReleaseShop
from inventory import Target
from livefleet.kernel import LivefleetError
from livefleet.spec import NodeSpec, Role, to_yaml

__all__ = ["NOTES", "Plan", "drain", "plan_site", "remove", "shop", "site"]

NOTES = "livefleet_notes"
"""Under this name a host's connector_data keeps (step, note) pairs, for who runs pyinfra by its API."""

_PYTHON_OF = {
    ("debian", "12"): "3.11",
    ("debian", "13"): "3.13",
    ("ubuntu", "24.04"): "3.12",
    ("ubuntu", "26.04"): "3.14",
}


class Plan:
    """All decisions for one host, in order, and what the last step needs to know."""

    def __init__(self, steps_taken: list[tuple[str, Outcome]], kind: steps.ServiceKind, version: str) -> None:
        self.steps = steps_taken
        self.kind = kind
        self.version = version


def site() -> None:
    """Bring this host to what the spec declares."""
    target: Target = host.data.livefleet
    facts = host.get_fact(HostFacts, **_paths(target.node), _ignore_errors=True)
    plan = plan_site(target, facts, shop(), now=time.time(), environ=os.environ)
    for step, outcome in host.loop(plan.steps):
        _note(step, outcome)
        perform(outcome.commands, name=step)
    if not any(outcome.refusal for _, outcome in plan.steps):
        verified(target.node, plan.kind, plan.version, name="verify")


def remove(purge: bool | None = None) -> None:
    """Take livefleet off this host; `purge` takes its state (keys, tickets) too."""
    target: Target = host.data.livefleet
    facts = host.get_fact(HostFacts, **_paths(target.node), _ignore_errors=True)
    purged = bool(host.data.get("purge", default=False)) if purge is None else purge
    present = facts is not None and bool(facts.releases or facts.current or any(facts.files.values()))
    outcome = steps.remove(target.node, _opt(target.node), facts, purge=purged, present=present)
    _note("remove", outcome)
    perform(outcome.commands, name="remove")


def drain() -> None:
    """Empty this host, or take that back, as pyinfra's `--data` says (drain.py)."""
    target: Target = host.data.livefleet
    facts = host.get_fact(HostFacts, **_paths(target.node), _ignore_errors=True)
    words = {name: str(host.data.get(name)) for name in ("deadline", "reason", "device") if host.data.get(name)}
    flags = {name: bool(host.data.get(name, default=False)) for name in ("off", "wait")}
    outcome = steps.drain(target.node, _opt(target.node), facts, **words, **flags)
    _note("drain", outcome)
    perform(outcome.commands, name="drain")


@functools.cache
def shop() -> ReleaseShop:
    """The process's one maker of releases: pyinfra gives deploy code no other place to own it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "livefleet"
    return ReleaseShop(Path(__file__).resolve().parent.parent, cache, Platform.own())


def plan_site(
    target: Target, facts: Observed | None, maker: ReleaseShop, *, now: float, environ: os._Environ[str]
) -> Plan:
    """Every step's decision, from facts alone. Stops at the first refusal."""
    node = target.node
    taken: list[tuple[str, Outcome]] = []
    process = steps.ServiceKind.PROCESS
    try:
        release = None if facts is None else _release(target, facts, maker)
        secrets = target.secrets(environ)
    except LivefleetError as error:
        return Plan([("preflight", refuse(str(error)))], process, "")
    present = facts is not None and release is not None and release.id in facts.releases
    taken.append(("preflight", steps.preflight(node, facts, now=now, sudo=target.sudo, release_present=present)))
    if facts is None or release is None or taken[0][1].refusal:
        return Plan(taken, process, "")
    kind = steps.choose_service(node, facts)
    owner = steps.SERVICE_USER if node.root == "/" else None
    opt = _opt(node)
    files = steps.node_files(node, to_yaml(node), secrets, owner)
    unit = (
        steps.unit_file(node, gpu=bool(facts.nvidia_pci))
        if kind is steps.ServiceKind.SYSTEMD
        else steps.supervisor_file(opt)
    )
    stamp = steps.stamp_of(release.id, [*files, unit])
    keep = target.release.keep
    decisions = (
        ("packages", lambda: steps.packages(facts, nginx=node.role is not Role.KEYKEEPER)),
        ("driver", lambda: steps.driver(node.driver, facts)),
        ("agent", lambda: steps.agent(release, opt, facts, local=target.local, keep=keep, bundle=maker.bundle)),
        ("config", lambda: steps.config(node, files, facts, owner)),
        ("service", lambda: steps.service(node, kind, unit, stamp, opt, facts, owner)),
    )
    for step, decide in decisions:
        taken.append((step, decide()))
        if taken[-1][1].refusal:
            break
    return Plan(taken, kind, release.version)


@operation()
def perform(commands: Iterable[Command]) -> Generator[StringCommand | FileUploadCommand]:
    """A step's commands; none of them is no change."""
    for command in commands:
        yield _to_pyinfra(command)


@operation()
def verified(node: NodeSpec, kind: steps.ServiceKind, version: str) -> Generator[StringCommand]:
    """Ready, in the deployed version. Looked at only when the run gets here; being so is no change."""
    if not state.is_executing:
        return
    answer = host.get_fact(AgentAnswer, steps.admin_address(node), version, steps.wait_s(node), _ignore_errors=True)
    for command in steps.verify(node, kind, version, answer).commands:
        yield _to_pyinfra(command)


def _to_pyinfra(command: Command) -> StringCommand | FileUploadCommand:
    match command:
        case Shell(text=text, stdin=stdin, as_login_user=as_login_user, timeout_s=timeout_s):
            arguments = {"_sudo": False} if as_login_user else {}
            return StringCommand(text, _stdin=list(stdin) or None, _timeout=timeout_s, **arguments)
        case Upload(source=source, dest=dest):
            return FileUploadCommand(str(source), dest, remote_temp_filename=host.get_temp_filename(dest))


def _release(target: Target, facts: Observed, maker: ReleaseShop) -> Release:
    extras = frozenset({"agent", "ai"} if target.node.duties.ai else {"agent"})
    own = Platform.own()
    python = ".".join(map(str, facts.python[:2])) or _PYTHON_OF.get((facts.os_id, facts.os_version), own.python)
    if facts.machine not in ("x86_64", "aarch64") or (facts.python and facts.python[:2] < (3, 11)):
        return maker.release(extras, own)  # preflight says what is wrong with the host
    return maker.release(extras, Platform(python=python, machine=facts.machine))


def _paths(node: NodeSpec) -> dict[str, object]:
    public = [str(node.paths.node_yaml), f"{_opt(node)}/supervise.py", *([steps.UNIT_PATH] if node.root == "/" else [])]
    return {
        "root": node.root,
        "public": public,
        "private": [str(node.paths.resolve(path)) for path in _sent_paths(node)],
    }


def _sent_paths(node: NodeSpec) -> list[str]:
    keys = [path for key in node.keys.values() for path in key.files]
    return sorted({*keys, *node.secrets.values()})


def _opt(node: NodeSpec) -> str:
    return f"{node.root.rstrip('/')}/opt/livefleet"


def _note(step: str, outcome: Outcome) -> None:
    """Tell people what is about to happen and why: in pyinfra's output, and to who runs it by its API."""
    notes = (outcome.refusal,) if outcome.refusal else outcome.notes
    kept = host.connector_data.setdefault(NOTES, [])
    for note in notes:
        host.log(f"{step}: {note}")
        kept.append((step, note))
    if state.config.DIFF:
        for line in outcome.diff:
            host.log(f"  {line}")
            kept.append(("diff", line))
