"""The deploys as pyinfra runs them: facts once, then the steps' decisions as operations, in order."""

import contextlib
import functools
import os
import shlex
import time
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from gevent.lock import BoundedSemaphore
from pyinfra.api import FileUploadCommand, StringCommand, operation
from pyinfra.context import host, state

from deploys import steps
from deploys.decided import decided
from deploys.drivers import CPU
from deploys.facts import AgentAnswer, HostFacts, Observed
from deploys.outcome import Command, Outcome, Reboot, Shell, Upload, refuse
from deploys.parcel import Parcel
from deploys.reboot import RebootCommand
from deploys.release import Platform, Release, ReleaseShop
from inventory import Target
from livefleet.kernel import LivefleetError
from livefleet.monitoring import Program
from livefleet.spec import CommandOutputs, NodeSpec, Role, extras_of, masked_urls, node_digest, to_yaml

__all__ = ["DECIDED", "NOTES", "Plan", "drain", "plan_site", "remove", "rollback", "shop", "site"]

DECIDED = "livefleet_decided"
"""Under this name a host's connector_data keeps what `decided` makes of the whole plan, likewise."""

NOTES = "livefleet_notes"
"""Under this name a host's connector_data keeps (step, note) pairs, for who runs pyinfra by its API."""

_PYTHON_OF = {
    ("debian", "12"): "3.11",
    ("debian", "13"): "3.13",
    ("ubuntu", "24.04"): "3.12",
    ("ubuntu", "26.04"): "3.14",
}


_OF_THE_HOST = (steps.UNIT_PATH, *steps.FIREWALL_PATHS, *steps.MACHINE_PATHS, *steps.DROP_INS)


_WITHOUT_FRONT_DOOR = (Role.KEYKEEPER, Role.MONITOR)


class Plan:
    """All decisions for one host, in order, and what the last step needs to know."""

    def __init__(
        self,
        steps_taken: list[tuple[str, Outcome]],
        kind: steps.ServiceKind,
        version: str,
        *,
        digest: str = "",
        release: str = "",
        when_it_serves: Sequence[str] = (),
        when_it_fails: Sequence[str] = (),
    ) -> None:
        self.steps = steps_taken
        self.kind = kind
        self.version = version
        self.digest = digest
        self.release = release
        self.when_it_serves = when_it_serves  # shell lines that note it on the host
        self.when_it_fails = when_it_fails  # shell lines that go back, where that is due, and note it


def site() -> None:
    """Bring this host to what the spec declares."""
    target: Target = host.data.livefleet
    elsewhere = [other for item in target.to_send for other in item.elsewhere]
    facts = host.get_fact(HostFacts, **_paths(target.node, elsewhere, target.programs), _ignore_errors=True)
    back = str(host.data.get("rollback", default=True)).lower() not in ("false", "no", "0")
    plan = plan_site(target, _seen(facts), shop(), now=time.time(), environ=os.environ, back=back)
    host.connector_data[DECIDED] = decided(
        plan.steps, facts, node_digest=node_digest(target.node), release=plan.release
    )
    for step, outcome in host.loop(_locked(target.node, plan)):
        _note(step, outcome)
        perform(outcome.commands, alone=outcome.alone, name=step)
    if not any(outcome.refusal for _, outcome in plan.steps):
        verified(target.node, plan, name="verify")


def _locked(node: NodeSpec, plan: Plan) -> list[tuple[str, Outcome]]:
    """The plan's steps, of which the first that changes something takes the host for this operator before."""
    first = next((step for step, outcome in plan.steps if outcome.commands), None)
    take = steps.taking(node, _opt(node), os.environ)
    if first is None or take is None or any(outcome.refusal for _, outcome in plan.steps):
        return plan.steps
    back = steps.giving_back(node, _opt(node), os.environ)
    plan.when_it_serves = [*plan.when_it_serves, back]
    plan.when_it_fails = [*plan.when_it_fails, back]
    return [
        (step, replace(outcome, commands=(take, *outcome.commands)) if step == first else outcome)
        for step, outcome in plan.steps
    ]


def remove(purge: bool | None = None) -> None:
    """Take livefleet off this host; `purge` takes its state (keys, tickets) too."""
    target: Target = host.data.livefleet
    facts = host.get_fact(HostFacts, **_paths(target.node), _ignore_errors=True)
    purged = bool(host.data.get("purge", default=False)) if purge is None else purge
    present = facts is not None and bool(facts.releases or facts.current or any(facts.files.values()))
    locked = None if facts is None else steps.locked_by_another(facts, os.environ)
    outcome = locked or steps.remove(target.node, _opt(target.node), facts, purge=purged, present=present)
    _note("remove", outcome)
    perform(outcome.commands, name="remove")


def rollback() -> None:
    """Let this host run again what it ran before the last change."""
    target: Target = host.data.livefleet
    node = target.node
    facts = _seen(host.get_fact(HostFacts, **_paths(node), _ignore_errors=True))
    seen = facts or Observed()
    deed = steps.Deed(steps.operator(os.environ), "rollback", seen.current, seen.previous, "")
    locked = steps.locked_by_another(seen, os.environ)
    outcome = locked or steps.rollback(node, steps.choose_service(node, seen), _opt(node), facts, _owner(node), deed)
    _note("rollback", outcome)
    perform(outcome.commands, name="rollback")


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


@functools.cache
def outputs() -> CommandOutputs:
    """What secrets' commands have printed in this process, likewise."""
    return CommandOutputs()


def plan_site(
    target: Target,
    facts: Observed | None,
    maker: ReleaseShop,
    *,
    now: float,
    environ: os._Environ[str],
    back: bool = True,
) -> Plan:
    """Every step's decision, from facts alone. Stops at the first refusal.

    `back`: a host that does not serve what is new goes back to what it ran before.
    """
    node = target.node
    taken: list[tuple[str, Outcome]] = []
    process = steps.ServiceKind.PROCESS
    try:
        release, parcel = (None, None) if facts is None else _release(target, facts, maker)
        secrets = target.secrets(environ, outputs())
        program_secrets = target.program_secrets(environ, outputs())
    except LivefleetError as error:
        return Plan([("preflight", refuse(str(error)))], process, "")
    locked = None if facts is None else steps.locked_by_another(facts, environ)
    if locked is not None:
        return Plan([("preflight", locked)], process, "")
    rights = {"sudo": target.sudo, "local": target.local}
    by_sudo = target.sudo and not target.local
    room = None
    if facts is not None and parcel is not None:
        room = parcel.room(facts.bundles, local=target.local, by_sudo=by_sudo)
    taken.append(("preflight", steps.preflight(node, facts, now=now, room=room, **rights)))
    if facts is None or release is None or taken[0][1].refusal:
        return Plan(taken, process, "")
    kind = steps.choose_service(node, facts)
    also = [
        *(["nftables"] if (nft_comes := steps.needs_nft(target.firewall, facts)) else []),
        *([steps.TIME_SERVICE] if steps.needs_time_service(target.machine, node, facts) else []),
        *steps.missing_packages(target.programs, facts),
    ]
    machine = steps.machine(target.machine, node, facts)
    firewall = steps.firewall(target.firewall, node, facts, local=target.local, nft_comes=nft_comes)
    programs = steps.monitoring(target.programs, program_secrets, node, facts)
    secret_place = steps.fits_secret_place(node, kind, facts)
    unfit = [found.refusal for found in (machine, firewall, secret_place, programs) if found.refusal]
    if unfit:
        return Plan([("preflight", refuse("; ".join(unfit)))], process, "")
    owner = _owner(node)
    opt = _opt(node)
    files = steps.node_files(node, to_yaml(node), secrets, owner)
    unit = steps.unit_file(node, facts) if kind is steps.ServiceKind.SYSTEMD else steps.supervisor_file(opt)
    everything = (*files, unit)
    stamp = steps.stamp_of(release.id, steps.lasting(node, everything))
    change = steps.agent_change(node, release.id, everything, stamp, facts)
    deed = steps.Deed(steps.operator(environ), "apply", facts.current, release.id, node_digest(node))
    # What was seen serving once, and does not now, is not this change's fault.
    due = back and bool(facts.current) and facts.good != stamp
    fails = steps.after_failure(node, kind, opt, owner, deed, back=due)
    elsewhere = [(item.host_path, other) for item in target.to_send for other in item.elsewhere]
    install = {"local": target.local, "keep": target.release.keep, "bundle": maker.bundle}
    decisions = (
        ("packages", lambda: steps.packages(facts, nginx=node.role not in _WITHOUT_FRONT_DOOR, also=also)),
        ("machine", lambda: machine),
        ("driver", lambda: steps.driver(node, kind, opt, facts, now=now, local=target.local)),
        ("firewall", lambda: firewall),
        ("agent", lambda: Outcome() if parcel is None else steps.agent(parcel, opt, facts, **install)),
        ("config", lambda: steps.config(node, everything, facts, owner, release.id, opt, stamp)),
        ("service", lambda: steps.service(node, kind, stamp, opt, facts, owner, change, when_it_fails=fails)),
        ("leftovers", lambda: steps.leftovers(node, secrets, elsewhere, facts)),
        ("monitoring", lambda: programs),
    )
    for step, decide in decisions:
        taken.append((step, decide()))
        if taken[-1][1].refusal:
            break
    changes = any(outcome.commands for step, outcome in taken if step in ("agent", "config", "service"))
    serves = [f"printf '%s\\n' {stamp} > {shlex.quote(f'{opt}/good')}"] if facts.good != stamp else []
    serves += [steps.journal_line(node, deed, steps.DeedOutcome.SERVING)] if changes else []
    return Plan(
        taken,
        kind,
        release.version,
        digest="" if node.pull else deed.digest,  # who pulls may run newer settings than these
        release=release.id,
        when_it_serves=serves,
        when_it_fails=fails if changes or due else (),
    )


@operation()
def perform(commands: Iterable[Command], *, alone: bool = False) -> Generator[StringCommand | FileUploadCommand]:
    """A step's commands; none of them is no change. `alone`: hosts take turns, each out of service only meanwhile."""
    with turn() if alone and state.is_executing else contextlib.nullcontext():
        for command in commands:
            yield _to_pyinfra(command)


@functools.cache
def turn() -> BoundedSemaphore:
    """The process's one turn: pyinfra gives operations no other way to wait for each other across hosts."""
    return BoundedSemaphore(1)


@operation()
def verified(node: NodeSpec, plan: Plan) -> Generator[StringCommand]:
    """Ready, in the deployed version. Looked at only when the run gets here; being so is no change."""
    if not state.is_executing:
        return
    asked = (steps.admin_address(node), plan.version, steps.wait_s(node), plan.digest)
    answer = host.get_fact(AgentAnswer, *asked, _ignore_errors=True)
    failure = steps.verify(node, plan.kind, plan.version, answer, digest=plan.digest, when_it_fails=plan.when_it_fails)
    if failure.refusal is None and plan.when_it_serves:
        text = "\n".join(["umask 022", *plan.when_it_serves])
        is_root = {"_sudo": bool(host.data.get("_sudo", default=False))}
        noted, _ = host.run_shell_command(StringCommand(text), _timeout=60, **is_root)
        if not noted:
            host.log("verify: it serves, and that could not be noted on the host")
    for command in failure.commands:
        yield _to_pyinfra(command)


def _to_pyinfra(command: Command) -> StringCommand | FileUploadCommand:
    match command:
        case Shell(text=text, stdin=stdin, as_login_user=as_login_user, timeout_s=timeout_s):
            arguments = {"_sudo": False} if as_login_user else {}
            return StringCommand(text, _stdin=list(stdin) or None, _timeout=timeout_s, **arguments)
        case Upload(source=source, dest=dest):
            return FileUploadCommand(str(source), dest, remote_temp_filename=host.get_temp_filename(dest))
        case Reboot(when=when, within_s=within_s):
            return RebootCommand(when, within_s)


def _release(target: Target, facts: Observed, maker: ReleaseShop) -> tuple[Release, Parcel | None]:
    """What the host is to run, and how it gets there; None where it is there."""
    extras = extras_of(target.node)
    own = Platform.own()
    python = ".".join(map(str, facts.python[:2])) or _PYTHON_OF.get((facts.os_id, facts.os_version), own.python)
    if facts.machine not in ("x86_64", "aarch64") or (facts.python and facts.python[:2] < (3, 11)):
        return maker.release(extras - {"ai"}, own), None  # preflight says what is wrong with the host
    torch = steps.choose_torch(target.node, facts)
    if torch is not None and torch.refusal:
        return maker.release(extras - {"ai"}, own), None  # likewise
    build = CPU if torch is None else torch.build
    platform = Platform(python=python, machine=facts.machine)
    release = maker.release(extras, platform, build, target.release.torch_index_url)
    if release.id in facts.releases:
        return release, None
    return release, maker.parcel(release, target.release, None if torch is None else build)


def _paths(node: NodeSpec, elsewhere: Sequence[str] = (), programs: Sequence[Program] = ()) -> dict[str, object]:
    public = [str(node.paths.node_yaml), f"{_opt(node)}/supervise.py", *(_OF_THE_HOST if node.root == "/" else ())]
    public += [f"{program.folder}/{path}" for program in programs for path in program.files]
    private = [str(node.paths.resolve(path)) for path in (*_sent_paths(node), *elsewhere)]
    private += [f"{program.folder}/{path}" for program in programs for path in program.secrets]
    return {"root": node.root, "public": public, "private": private}


def _sent_paths(node: NodeSpec) -> list[str]:
    keys = [path for key in node.keys.values() for path in key.files]
    return sorted({*keys, *node.secrets.values()})


def _opt(node: NodeSpec) -> str:
    return f"{node.root.rstrip('/')}/opt/livefleet"


def _seen(facts: Observed | None) -> Observed | None:
    """A lock does not matter to who only looks."""
    only_look = facts is not None and host.data.get("only_look", default=False)
    return replace(facts, lock="") if facts is not None and only_look else facts


def _owner(node: NodeSpec) -> str | None:
    return steps.SERVICE_USER if node.root == "/" else None


def _note(step: str, outcome: Outcome) -> None:
    """Tell people what is about to happen and why: in pyinfra's output, and to who runs it by its API."""
    notes = (outcome.refusal,) if outcome.refusal else outcome.notes
    kept = host.connector_data.setdefault(NOTES, [])
    for note in notes:
        host.log(f"{step}: {note}")
        kept.append((step, note))
    if state.config.DIFF:
        for line in map(masked_urls, outcome.diff):
            host.log(f"  {line}")
            kept.append(("diff", line))
