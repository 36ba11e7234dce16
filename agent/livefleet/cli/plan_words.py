"""A plan for people: hosts with the same changes together, each thing once."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape

from livefleet.control import ChainPart, HardwareFinding, HostChain, HostPlan, PlanDocument
from livefleet.spec.amounts import eth_text

__all__ = ["print_plan"]

_AGENT: Final = {
    "": "the agent goes on undisturbed",
    "start": "the agent is started",
    "restart": "the agent is restarted",
    "reload": "the agent takes it over live; nothing is restarted",
}
_COLOUR: Final = {"": "green", "start": "yellow", "restart": "yellow", "reload": "green"}
_NAMED: Final = 6  # hosts of a group by name; the rest is counted


def print_plan(out: Console, plan: PlanDocument, *, diff: bool) -> None:
    """The whole plan. Colours are the console's own affair: there are none where it is no terminal."""
    _hosts(out, plan.hosts, diff=diff)
    _hardware(out, plan.hardware)
    _chain(out, plan.chain)
    if not plan.changes and plan.exit_code == 0:
        out.print("nothing to do: everything is as declared")


def _hosts(out: Console, hosts: Sequence[HostPlan], *, diff: bool) -> None:
    counts = {word: sum(host.outcome == word for host in hosts) for word in ("changes", "unchanged", "failed")}
    words = {"changes": "would change", "unchanged": "as declared", "failed": "could not be planned"}
    out.print("[bold]hosts[/]: " + ", ".join(f"{counts[word]} {words[word]}" for word in words if counts[word]))
    for group in _groups(hosts):
        first = group[0]
        out.print(f"  [bold]{escape(_names(group))}[/]")
        for step in first.steps:
            if not step.changes:
                continue
            notes = [note for note in step.notes if not _is_effect(note, first)]
            out.print(f"    {step.step:<10} {'; '.join(notes) or 'changes'}", markup=False)
            if diff:
                for line in step.diff:
                    out.print(f"      {line}", markup=False)
        for effect in first.effects:
            cost = "live" if effect.takeover == "live" else f"restarts the agent: {effect.why}"
            change = f"{effect.path}: {_said(effect.before)} -> {_said(effect.after)}"
            out.print(
                f"      {escape(change)}  [{'green' if effect.takeover == 'live' else 'yellow'}]{escape(cost)}[/]"
            )
        out.print(f"    [{_COLOUR.get(first.agent, 'yellow')}]{_AGENT.get(first.agent, first.agent)}[/]")
    for host in hosts:
        if host.outcome == "failed":
            out.print(f"  [red]{escape(host.host)}[/]: {escape(host.reason)}")
            if host.advice:
                out.print(f"    -> {host.advice}", markup=False)


def _groups(hosts: Sequence[HostPlan]) -> list[list[HostPlan]]:
    """Hosts that would change, those with the same changes together, in the fleet's order."""
    groups: dict[tuple[object, ...], list[HostPlan]] = {}
    for host in hosts:
        if host.outcome == "changes":
            steps = tuple((step.step, step.notes) for step in host.steps if step.changes)
            groups.setdefault((steps, host.effects, host.agent), []).append(host)
    return list(groups.values())


def _names(group: Sequence[HostPlan]) -> str:
    names = [host.host for host in group]
    shown = ", ".join(names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{shown}{more}" + (f" ({len(names)} hosts)" if len(names) > 1 else "")


def _is_effect(note: str, host: HostPlan) -> bool:
    return any(note.startswith(f"{effect.path}: ") for effect in host.effects)


def _said(text: str | None) -> str:
    return "unsaid" if text is None else text


def _hardware(out: Console, findings: Sequence[HardwareFinding]) -> None:
    if not findings:
        return
    count = sum(finding.differs for finding in findings)
    out.print(f"[bold]hardware[/]: {count} difference(s)" if count else "[bold]hardware[/]: as declared")
    for finding in findings:
        colour = "yellow" if finding.differs else "default"
        text = f"{finding.host}: {finding.subject}: {finding.text}"
        out.print(f"  [{colour}]{escape(text)}[/]")


def _chain(out: Console, chain: ChainPart) -> None:
    if not chain.asked:
        out.print("[bold]chain[/]: not looked at (--no-chain)")
        return
    if not chain.hosts:
        return
    count = sum(len(duty.changes) for host in chain.hosts for duty in host.duties)
    later = sum(duty.state in ("waiting", "blocked") for host in chain.hosts for duty in host.duties)
    low = sum(len(host.low_balances) for host in chain.hosts)
    unread = sum(bool(host.reason) for host in chain.hosts)
    parts = [f"{count} transaction(s) to send"] if count else []
    parts += [f"{later} that wait or are blocked"] if later else []
    parts += [f"{low} key(s) low on ETH"] if low else []
    parts += [f"{unread} host(s) could not be read"] if unread else []
    out.print(f"[bold]chain[/]: {', '.join(parts) or 'as declared'}")
    for host in chain.hosts:
        _host_chain(out, host)


def _host_chain(out: Console, host: HostChain) -> None:
    if host.reason:
        out.print(f"  [red]{escape(host.host)}[/]: {escape(host.reason)}")
        return
    who = "the node sends" if host.signed_by == "node" else "to be signed"
    for duty in host.duties:
        for change in duty.changes:
            out.print(f"  {host.host}: {duty.condition}: {who}: {change.title}", markup=False)
        if not duty.changes and duty.state in ("blocked", "waiting"):
            out.print(f"  {host.host}: {duty.condition}: {duty.state}: {duty.message}", markup=False)
    for low in host.low_balances:
        held, wanted = eth_text(low.balance_wei), eth_text(low.warn_below_wei)
        out.print(f"  {host.host}: {low.key} ({low.address}) holds {held}, below {wanted}: send it ETH", markup=False)
