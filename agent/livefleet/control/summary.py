"""The outcome by host, made from events. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from livefleet.control.events import AgentTold, Begin, Decided, Done, End, Event, Failed, Note, Planned
from livefleet.control.smoke import FleetSmoke
from livefleet.kernel import ExitCode

__all__ = ["HostResult", "Outcome", "Summary", "advice", "summarize"]


class Outcome(StrEnum):
    """How a host came out."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    WOULD_CHANGE = "would change"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class HostResult:
    """One host's line of the summary."""

    host: str
    outcome: Outcome
    changes: tuple[str, ...] = ()  # steps that changed (or would change) something
    notes: tuple[str, ...] = ()
    failed_step: str = ""
    reason: str = ""
    advice: str = ""  # what to do about the failure
    agent: str = ""  # what the agent went through: started, restarted, reloaded; of a dry run what it would


@dataclass(frozen=True, slots=True)
class Summary:
    """All hosts in the fleet's order."""

    hosts: tuple[HostResult, ...]
    dry: bool = False
    complete: bool = True  # the run reached its end
    smoke: FleetSmoke | None = None  # paid jobs that were tried afterwards; None: none was to be

    @property
    def exit_code(self) -> ExitCode:
        """0 when every host is as declared (or planned) and earns where that was tried, 1 otherwise."""
        failed = any(result.outcome is Outcome.FAILED for result in self.hosts)
        failed = failed or (self.smoke is not None and not all(result.passed for result in self.smoke.hosts))
        return ExitCode.PARTLY_FAILED if failed or not self.complete else ExitCode.DONE


@dataclass(slots=True)
class _Host:
    planned: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    finished: bool = False
    failure: Failed | None = None
    agent: str = ""
    refusal: Failed | None = None  # of a dry run, whose steps refuse by a command


def summarize(events: Iterable[Event]) -> Summary:
    """Fold a run's events. A run that broke off fails every host that had not come to its end."""
    hosts: dict[str, _Host] = {}
    dry = complete = False
    for event in events:
        match event:
            case Begin(hosts=names):
                hosts = {name: _Host() for name in names}
                dry = event.dry
            case Note(step=step, text=text) if step != "diff":
                hosts[event.host].notes.append(f"{step}: {text}")
            case Decided(steps=steps, agent=agent):
                hosts[event.host].agent = agent if dry else ""
                hosts[event.host].refusal = next(
                    (
                        Failed(event="failed", host=event.host, step=step.step, reason=step.refusal)
                        for step in steps
                        if step.refusal and dry
                    ),
                    None,
                )
            case AgentTold(what=what):
                hosts[event.host].agent = what
            case Planned(changes=changes):
                hosts[event.host].planned = changes
            case Done(changed=True, step=step):
                hosts[event.host].changed.append(step)
            case Failed():
                hosts[event.host].failure = hosts[event.host].failure or event
            case End():
                complete = True
            case _:
                pass
    results = tuple(_result(name, host, dry=dry, complete=complete) for name, host in hosts.items())
    return Summary(hosts=results, dry=dry, complete=complete)


def _result(name: str, host: _Host, *, dry: bool, complete: bool) -> HostResult:
    notes = tuple(host.notes)
    failure = host.failure or host.refusal
    if failure is None and dry and "preflight" in host.planned:  # its only change is to refuse
        reason = next((note.partition(": ")[2] for note in notes if note.startswith("preflight: ")), "refused")
        failure = Failed(event="failed", host=name, step="preflight", reason=reason)
    if failure is None and not complete:
        failure = Failed(event="failed", host=name, step="run", reason="the run broke off before this host was done")
    if failure is not None:
        return HostResult(
            name,
            Outcome.FAILED,
            tuple(host.changed),
            notes,
            failure.step,
            failure.reason,
            advice(name, failure),
            host.agent,
        )
    changes = host.planned if dry else tuple(host.changed)
    changed = Outcome.WOULD_CHANGE if dry else Outcome.CHANGED
    return HostResult(name, changed if changes else Outcome.UNCHANGED, changes, notes, agent=host.agent)


_ADVICE = (
    (
        "Authentication error",
        "put the public half of that key into the user's authorized_keys on {host}, or set ssh.key and ssh.user",
    ),
    ("No such private key", "set ssh.key of {host} to a private key file that exists"),
    ("Invalid private key", "ssh.key of {host} is no private key that can be read"),
    ("is encrypted", "load the key into ssh-agent and leave ssh.key of {host} out"),
    ("host key", "the host key changed: if that is expected, remove the old line from known_hosts (`ssh-keygen -R`)"),
    ("Could not resolve", "check the address of {host}"),
    ("Could not connect", "check that {host} is up, its address and port, and that no firewall is between"),
    ("SSH error", "check with `ssh` to {host}, same user, key and port"),
)


def advice(host: str, failure: Failed) -> str:
    """What to do next about a failure, in a sentence."""
    for words, text in _ADVICE:
        if failure.step == "connect" and words.lower() in failure.reason.lower():
            return text.format(host=host)
    if failure.step == "plan":
        return "nothing was done there: look at what has changed, and plan again"
    if failure.step == "verify":
        return f"look at `livefleet status {host}`; the release before is kept under opt/livefleet/releases"
    return "put that right and apply again; what was done stays done"
