"""A rollout for people and for machines."""

import time
from collections import Counter
from collections.abc import Iterable
from threading import Lock
from typing import Any, Self

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from livefleet.cli.output import console, print_json
from livefleet.control import Event, HostDrain
from livefleet.control.journal import Deed
from livefleet.control.rollout import HostRecord, Phase, RolloutRecord, Watcher
from livefleet.kernel import ExitCode

__all__ = ["RolloutProgress", "exit_code_of", "print_deeds", "print_history", "print_plan", "print_result"]

_STYLE = {Phase.DONE: "green", Phase.UNCHANGED: "green", Phase.WAITING: "default", Phase.LATER: "yellow"}


_LEFT_AS = {
    Phase.EMPTYING: "drained still, and unchanged",
    Phase.CHANGING: "in the middle of their change, and drained where they restart",
    Phase.PROVING: "changed and in service, not proven",
    Phase.GOING_BACK: "did not prove themselves, and have not gone back",
}


class RolloutProgress:
    """One line for each host that stands otherwise; on a terminal a status line says how many are done."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._status = out.status("looking at the hosts") if out.is_terminal else None
        self._phases: dict[str, Phase] = {}
        self._lock = Lock()

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def watcher(self) -> Watcher:
        """What a session tells this progress by."""
        return Watcher(self._event, self._drain, self._host)

    def say(self, text: str) -> None:
        """One line."""
        with self._lock:
            self._out.print(text, markup=False)

    def show_plan(self, record: RolloutRecord) -> None:
        """The batches, before anything is done."""
        self._phases = {name: host.phase for name, host in record.hosts.items()}
        for line in _plan_lines(record):
            self.say(line)

    def ask(self) -> bool:
        """Let the operator decide, once all is planned."""
        if self._status:
            self._status.stop()
        go = click.confirm("Begin?", default=False, err=True)
        if self._status and go:
            self._status.start()
        return go

    def _event(self, event: Event) -> None:
        match event.event:
            case "failed":
                self.say(f"{event.host}  {event.step} failed: {event.reason.splitlines()[0]}")
            case "step" if self._status:
                self._status.update(f"{self._count()}  {event.host}: {event.step}")
            case "done" if event.changed:
                self.say(f"{event.host}  {event.step} done")
            case _:
                pass

    def _drain(self, host: HostDrain) -> None:
        self.say(f"{host.host}  {host.text or host.outcome.value}")

    def _host(self, name: str, host: HostRecord) -> None:
        self._phases[name] = host.phase
        first = host.text.splitlines()[0] if host.text else ""
        self.say(f"{name}  {host.phase.value}{f': {first}' if first else ''}")
        if self._status:
            self._status.update(self._count())

    def _count(self) -> str:
        over = sum(phase.is_last for phase in self._phases.values())
        return f"{over}/{len(self._phases)} hosts"


def exit_code_of(record: RolloutRecord, *, dry: bool) -> ExitCode:
    """0 when every host is as declared (or can be made so), 3 when none could be reached, 1 else."""
    phases = [host.phase for host in record.hosts.values()]
    if phases and all(phase is Phase.BLOCKED for phase in phases):
        return ExitCode.OUTSIDE_SAID_NO
    good = {Phase.DONE, Phase.UNCHANGED, Phase.LATER, *([Phase.WAITING] if dry else [])}
    return ExitCode.DONE if all(phase in good for phase in phases) else ExitCode.PARTLY_FAILED


def print_plan(record: RolloutRecord, *, as_json: bool) -> None:
    """What would be done."""
    if as_json:
        print_json(_document(record))
        return
    out = console()
    for line in _plan_lines(record):
        out.print(line, markup=False)


def print_result(record: RolloutRecord, *, as_json: bool) -> None:
    """How every host came out."""
    if as_json:
        print_json(_document(record))
        return
    out = console()
    table = Table("host", "outcome", "", box=None)
    for name, host in record.hosts.items():
        first = host.text.splitlines()[0] if host.text and host.phase is not Phase.WAITING else ""
        table.add_row(name, Text(host.phase.value, style=_STYLE.get(host.phase, "red")), Text(first))
    out.print(table)
    for name, host in record.hosts.items():
        if host.phase in (Phase.WENT_BACK, Phase.FAILED) and "\n" in host.text:
            out.print(f"\n{name}: {host.text}", markup=False)
    counts = Counter(host.phase.value for host in record.hosts.values())
    said = ", ".join(f"{count} {phase}" for phase, count in counts.items()) or "nothing to do"
    out.print(f"rollout {record.id}: {said}" if record.ended else said, markup=False)
    left = [n for n in record.in_phase(Phase.FAILED) if record.hosts[n].restarts and not record.hosts[n].kept_empty]
    if left:
        out.print(
            f"may still be drained: {', '.join(left)}; `livefleet drain --host HOST --off` once it serves", markup=False
        )
    for line in _interrupted_lines(record):
        out.print(line, markup=False)
    if record.ended == "stopped":
        out.print("stopped after the first batch with a bad host; put that right and roll out again", markup=False)


def print_history(deeds: Iterable[Deed], *, as_json: bool) -> None:
    """What this machine rolled out."""
    if as_json:
        print_json([deed.model_dump(exclude_defaults=True) for deed in deeds])
        return
    print_deeds(deeds)


def print_deeds(deeds: Iterable[Deed]) -> None:
    """Lines of journals, oldest first."""
    table = Table("when (UTC)", "who", "what", "host", "outcome", "from", "to", "", box=None)
    for deed in sorted(deeds, key=lambda deed: deed.at):
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(deed.at))
        words = (when, deed.who, deed.action, deed.host, deed.outcome, deed.before, deed.after, deed.text)
        table.add_row(*map(Text, words))
    console().print(table)


def _plan_lines(record: RolloutRecord) -> list[str]:
    lines = []
    for number, batch in enumerate(record.batches, 1):
        wait = f", then {record.bake_s:g} s to look at them" if batch.canary and number < len(record.batches) else ""
        names = ", ".join(f"{name}{'' if record.hosts[name].restarts else ' (no restart)'}" for name in batch.hosts)
        lines.append(f"batch {number}{' (canary)' if batch.canary else ''}: {names}{wait}")
    for name, host in record.hosts.items():
        if host.phase is Phase.BLOCKED:
            lines.append(f"not begun: {name}: {host.text.splitlines()[0]}")
    unchanged = len(record.in_phase(Phase.UNCHANGED))
    lines.append(f"{sum(len(batch.hosts) for batch in record.batches)} to change, {unchanged} as declared")
    return lines


def _interrupted_lines(record: RolloutRecord) -> list[str]:
    """Of a rollout that was asked to stop: what every host was left as, and how to go on."""
    if record.ended or not record.batches:
        return []
    lines = []
    for phase, told in _LEFT_AS.items():
        if names := record.in_phase(phase):
            lines.append(f"{told}: {', '.join(names)}")
    if emptied := record.in_phase(Phase.EMPTYING):
        lines.append(f"to serve again as they are: {'; '.join(f'`livefleet drain --host {n} --off`' for n in emptied)}")
    return [*lines, "interrupted: `livefleet rollout --resume` goes on, `--forget` ends it where it stands"]


def _document(record: RolloutRecord) -> dict[str, Any]:
    hosts = {
        name: {"outcome": host.phase.value, "text": host.text or None, "restarts": host.restarts}
        for name, host in record.hosts.items()
    }
    batches = [{"hosts": list(batch.hosts), "canary": batch.canary} for batch in record.batches]
    return {"id": record.id, "ended": record.ended or None, "batches": batches, "hosts": hosts}
