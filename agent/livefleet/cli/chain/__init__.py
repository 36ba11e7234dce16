"""`livefleet chain`: what stands on chain, what is to be changed there, and signing it with keys that no host holds."""

import click

from livefleet.cli.lazy import LazyGroup

__all__ = ["COMMANDS", "command"]

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module with a click command called `command`, one line of help)
    "broadcast": ("livefleet.cli.chain.broadcast", "Send what was signed elsewhere."),
    "delegators": ("livefleet.cli.chain.delegators", "Who delegates to an orchestrator, and what they did."),
    "pending": ("livefleet.cli.chain.pending", "What nodes wait for a signature for."),
    "plan": ("livefleet.cli.chain.plan", "What would change on chain, and what waits for what."),
    "polls": ("livefleet.cli.chain.polls", "Polls about the protocol, and who said what."),
    "prepare": ("livefleet.cli.chain.prepare", "Make a proposal ready for signing without a network."),
    "proposal": ("livefleet.cli.chain.proposal", "One treasury proposal, what it would do, and the votes."),
    "proposals": ("livefleet.cli.chain.proposals", "Treasury proposals, and which wait for a vote."),
    "propose": ("livefleet.cli.chain.propose", "Write what no node may sign as proposal files."),
    "rank": ("livefleet.cli.chain.rank", "Where an orchestrator stands in the pool, and how far from falling out."),
    "round": (
        "livefleet.cli.chain.round",
        "A round: its time, inflation, what was minted, the own and treasury's part.",
    ),
    "sign": ("livefleet.cli.chain.sign", "Show a proposal in words, sign it with a key of yours, send it."),
    "vote": ("livefleet.cli.chain.vote", "Vote on a treasury proposal or in a protocol poll."),
}


@click.group(cls=LazyGroup, commands_of=COMMANDS)
def command() -> None:
    """What stands on chain, what is to be changed there, and signing it with keys that no host holds."""
