"""Examining hosts: each by itself on the host, and what only another machine can see from here."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Final

from pydantic import ValidationError

from livefleet.control.remote import program_on
from livefleet.control.session import Session, run_session
from livefleet.kernel import ExitCode, OutsideWorld
from livefleet.spec import Examination, Finding, Fleet, Grade, NodeSpec, Trouble, node_digest
from livefleet.spec.digest import digest_in_short

__all__ = ["FleetExamination", "HostExamination", "examine_fleet"]

_TIMEOUT_S: Final = 90.0
_SKEW_S: Final = 2.0
"""Of a host's clock against this one's: beyond it tickets, tokens and certificates are judged wrongly."""
_MOST: Final = 4 << 20
_NOT_THERE: Final = (1, 126, 127)  # of the shell, and of sudo where it finds no program

Outside = Callable[[NodeSpec], list[Finding]]
"""What is seen of a node from here; blocks."""


@dataclass(frozen=True, slots=True)
class HostExamination:
    """One host, from within and from here."""

    host: str
    findings: tuple[Finding, ...]
    reached: bool = True

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong; warnings are not."""
        return not any(finding.grade is Grade.FAIL for finding in self.findings)


@dataclass(frozen=True, slots=True)
class FleetExamination:
    """All that were asked, in the fleet's order."""

    hosts: tuple[HostExamination, ...]

    @property
    def exit_code(self) -> ExitCode:
        """3 where no host could be reached, 1 where something is wrong with some."""
        if not any(host.reached for host in self.hosts):
            return ExitCode.OUTSIDE_SAID_NO
        return ExitCode.DONE if all(host.is_well for host in self.hosts) else ExitCode.PARTLY_FAILED


def examine_fleet(
    fleet: Fleet,
    names: Sequence[str],
    *,
    outside: Outside,
    on_host: Callable[[HostExamination], None],
    parallel: int,
) -> FleetExamination:
    """Examine the named hosts, `parallel` at a time. `on_host` hears of each when it is done, in any order."""

    def one(name: str) -> HostExamination:
        found = _examine(fleet, name, outside)
        on_host(found)
        return found

    with ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="doctor") as pool:
        return FleetExamination(tuple(pool.map(one, names)))


def _examine(fleet: Fleet, name: str, outside: Outside) -> HostExamination:
    node = fleet.node(name)
    seen = outside(node)
    began = time.time()
    try:
        told = _ask(fleet, name, node)
    except OutsideWorld as error:
        if fleet.host(name).is_local:
            fix = f"`livefleet apply {name}`"
            return HostExamination(name, (_release(Trouble.RELEASE_MISSING, str(error), fix), *seen))
        fix = "is it up? `ssh` to it as the fleet file says; a host that nobody can reach may be in pull mode"
        lost = Finding(
            area="host", what="ssh", grade=Grade.FAIL, message=str(error), fix=fix, trouble=Trouble.HOST_UNREACHABLE
        )
        return HostExamination(name, (lost, *seen), reached=False)
    if isinstance(told, Finding):
        return HostExamination(name, (told, *seen))
    own = [finding for finding in told.findings if not _is_seen_better(finding, seen)]
    seen = [_held_against(finding, told.findings) for finding in seen]
    return HostExamination(name, (*own, _clock(told.at, began, time.time()), _drift(told, node), *seen))


def _ask(fleet: Fleet, name: str, node: NodeSpec) -> Examination | Finding:
    """What the host says; a finding where it cannot say. Raises OutsideWorld."""
    program = program_on(node)
    out: dict[bool, bytearray] = {False: bytearray(), True: bytearray()}
    told = Event()

    def hear(data: bytes, *, error: bool) -> None:
        out[error] += data[: max(0, _MOST - len(out[error]))]
        # A process that a driver holds on to has said everything and cannot end.
        if not error and out[False].endswith(b"}\n") and _parsed(out[False]) is not None:
            told.set()

    words = (program, "agent", "doctor", str(node.paths.node_yaml), "--json")
    code = run_session(fleet.host(name), Session(words, timeout_s=_TIMEOUT_S), hear, told)
    if (found := _parsed(out[False])) is not None:
        return found
    last = bytes(out[True]).decode(errors="replace").strip().rpartition("\n")[2]
    fix = f"`livefleet apply {name}` brings the release and node.yaml of this fleet"
    if "No such command" in last:
        text = f"the release there cannot examine its host: {last}"
        return _release(Trouble.RELEASE_TOO_OLD, text, fix)
    if code in _NOT_THERE and program in last:
        return _release(Trouble.RELEASE_MISSING, f"no release is there: {last}", fix)
    text = f"`livefleet agent doctor` ended with {code}: {last or 'it said nothing'}"
    return _release(Trouble.EXAMINATION_FAILED, text, fix)


def _parsed(document: bytearray) -> Examination | None:
    try:
        return Examination.model_validate_json(bytes(document))
    except ValidationError:
        return None


def _release(trouble: Trouble, message: str, fix: str) -> Finding:
    return Finding.bad(trouble, "service", "release", message, fix)


def _clock(at: float, began: float, ended: float) -> Finding:
    """The host was asked between the two; what lies outside of that is its clock's doing, or this one's."""
    skew = at - ended if at > ended else min(0.0, at - began)
    if abs(skew) > _SKEW_S:
        text = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
        fix = "look at both: `timedatectl`; `livefleet apply` sets up a time service (`machine: {mode: managed}`)"
        return Finding(
            area="clock", what="against here", grade=Grade.FAIL, message=text, fix=fix, trouble=Trouble.CLOCK_DIFFERS
        )
    return Finding(area="clock", what="against here", grade=Grade.OK, message="agrees with this machine's")


def _drift(told: Examination, node: NodeSpec) -> Finding:
    declared = node_digest(node)
    if told.digest == declared:
        return Finding(area="spec", what="fleet file", grade=Grade.OK, message="the host has what is declared")
    text = f"the host has {digest_in_short(told.digest)}, declared is {digest_in_short(declared)}"
    fix = f"`livefleet plan {node.name}` shows the difference, `livefleet apply {node.name}` ends it"
    return Finding(
        area="spec", what="fleet file", grade=Grade.WARN, message=text, fix=fix, trouble=Trouble.SPEC_DIFFERS
    )


def _held_against(finding: Finding, own: Sequence[Finding]) -> Finding:
    """A port that is silent from here, with what the host itself sees of it."""
    if finding.trouble != Trouble.PORT_SILENT:
        return finding
    if not any(o.area == "ports" and o.what == finding.what and o.grade is Grade.OK for o in own):
        return finding
    return finding.model_copy(update={"message": f"{finding.message}; the host itself reaches it"})


def _is_seen_better(finding: Finding, seen: Sequence[Finding]) -> bool:
    """Of its public door the host's own view counts only where nobody else has one."""
    return finding.area in {"dns", "ports", "certificate"} and any(other.what == finding.what for other in seen)
