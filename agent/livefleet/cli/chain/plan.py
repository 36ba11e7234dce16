"""`livefleet chain plan`: what would change on chain."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console

from livefleet.cli.output import console, print_json
from livefleet.spec.amounts import eth_text

if TYPE_CHECKING:
    from livefleet.cli.chain.declared import DutyOnHost, HostPlan

__all__ = ["command", "plan_document"]

_WORDS: Final = {"IN_STEP": "as declared", "CHANGING": "changes", "WAITING": "waits", "BLOCKED": "blocked"}


@click.command("plan")
@click.argument("fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml")
@click.option("--host", metavar="NAME", help="Only this host.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(fleet: Path, *, host: str | None, as_json: bool) -> None:
    """Show what the `on_chain` sections of FLEET would change on chain, and what waits for what. Nothing is sent.

    Read from this machine, by the endpoints of the spec. Exit code 2 for a wrong spec, 3 when the chain says no.
    """
    from livefleet.cli.chain.declared import hosts_with_declarations, plan_host

    loaded, names = hosts_with_declarations(fleet, host)
    plans = [asyncio.run(plan_host(name, loaded.node(name))) for name in names]
    if as_json:
        print_json({"changes": any(plan.changes for plan in plans), "hosts": [plan_document(plan) for plan in plans]})
        return
    out = console()
    for plan in plans:
        _print(out, plan)
    count = sum(len(plan.changes) for plan in plans)
    low = sum(len(plan.low_balances) for plan in plans)
    out.print("nothing to change" if not count else f"{count} transaction(s) to send")
    if low:
        out.print(f"{low} key(s) to send ETH to")


def _print(out: Console, plan: "HostPlan") -> None:
    out.print(
        f"{plan.host}: {plan.orchestrator}, chain {plan.chain_id}, round {plan.head.current_round}, "
        f"L1 block {plan.head.l1_block}",
        markup=False,
    )
    for duty in plan.duties:
        word = _WORDS[duty.plan.state.name]
        out.print(f"  {duty.condition:<22} {word:<12} {duty.plan.reason}: {duty.plan.message}", markup=False)
        for change in duty.plan.changes:
            out.print(f"    {_who(plan)}: {change.title}", markup=False)
    for low in plan.low_balances:
        text = f"{low.key} ({low.address}) holds {eth_text(low.balance)}, declared is {eth_text(low.warn_below)}"
        out.print(f"  {text}: send it ETH", markup=False)


def _who(plan: "HostPlan") -> str:
    return "the node sends" if plan.node_signs else "to be signed"


def plan_document(plan: "HostPlan") -> dict[str, Any]:
    """One host's part of the JSON."""
    return {
        "host": plan.host,
        "chain_id": plan.chain_id,
        "orchestrator": plan.orchestrator,
        "round": plan.head.current_round,
        "l1_block": plan.head.l1_block,
        "signed_by": "node" if plan.node_signs else "proposal",
        "duties": [_duty(duty) for duty in plan.duties],
        "low_balances": [
            {
                "key": low.key,
                "address": low.address,
                "balance_wei": low.balance,
                "warn_below_wei": low.warn_below,
            }
            for low in plan.low_balances
        ],
    }


def _duty(duty: "DutyOnHost") -> dict[str, Any]:
    return {
        "topic": duty.topic,
        "condition": duty.condition,
        "state": duty.plan.state.name.lower(),
        "reason": duty.plan.reason,
        "message": duty.plan.message,
        "changes": [
            {
                "title": change.title,
                "to": change.call.to,
                "function": change.function.signature,
                "data": "0x" + change.call.data.hex(),
                "value": change.call.value,
            }
            for change in duty.plan.changes
        ],
    }
