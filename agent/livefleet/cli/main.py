"""Finds the subcommand and imports only that one, so that `livefleet --help` is quick."""

from typing import Any

import click

from livefleet import __version__
from livefleet.cli.lazy import LazyGroup
from livefleet.cli.output import exit_code_of, report_failure
from livefleet.kernel import LivefleetError

__all__ = ["COMMANDS", "main"]

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module with a click command called `command`, one line of help)
    "init": ("livefleet.cli.init", "Write a fleet repository of one's own."),
    "validate": ("livefleet.cli.validate", "Check a fleet spec; every error with file:line:column."),
    "render": ("livefleet.cli.render", "Show one host's slice of the fleet, and where each value came from."),
    "profiles": ("livefleet.cli.profiles", "Presets for cards and roles, and what is known of cards."),
    "schema": ("livefleet.cli.schema", "Print the JSON Schema of fleet.yaml, for editors."),
    "plan": ("livefleet.cli.plan", "Show what would change on hosts, in hardware and on chain."),
    "apply": ("livefleet.cli.apply", "Bring hosts to what the spec declares."),
    "rollout": ("livefleet.cli.rollout", "Apply over the fleet in batches: proven, and back where it does not serve."),
    "rollback": ("livefleet.cli.rollback", "Let hosts run again what they ran before the last change."),
    "journal": ("livefleet.cli.journal", "Who changed which host, when, and what came of it."),
    "status": ("livefleet.cli.status", "Ask every host how it is."),
    "top": ("livefleet.cli.top", "What every host and every GPU does now."),
    "smoke": ("livefleet.cli.smoke", "Pay hosts for small jobs, and check what comes back."),
    "exec": ("livefleet.cli.exec", "Run one command on every host, or on some."),
    "logs": ("livefleet.cli.logs", "What the agents say, of all hosts in one order."),
    "doctor": ("livefleet.cli.doctor", "What is wrong with hosts, and what to do about it."),
    "diag": ("livefleet.cli.diag", "A bundle for whoever helps from afar, without secrets."),
    "drain": ("livefleet.cli.drain", "Empty hosts or devices: no new sessions, running ones end or move."),
    "why": ("livefleet.cli.why", "Why a gateway would not select an orchestrator."),
    "price": ("livefleet.cli.price", "Explain how a quoted price comes about."),
    "agent": ("livefleet.cli.agent", "Run or check the node agent (on a host)."),
    "gateway": ("livefleet.cli.gateway", "Be a paying gateway: transcode a file, make an image."),
    "bundle": ("livefleet.cli.bundle", "The fleet as a signed folder that hosts pull from."),
    "enrol": ("livefleet.cli.enrol", "Hosts that come by themselves: tokens, approval, the service."),
    "image": ("livefleet.cli.image", "Images that become hosts by themselves."),
    "bench": ("livefleet.cli.bench", "Measure how many real-time sessions this machine holds."),
    "models": ("livefleet.cli.models", "The node's AI models: their files and their warmth (on a host)."),
    "import": ("livefleet.cli.imports", "Other programs' files as parts of a fleet file."),
    "export": ("livefleet.cli.exports", "Parts of a fleet file as other programs' files."),
    "keys": ("livefleet.cli.keys", "Which key sits where; make and check keystores."),
    "report": ("livefleet.cli.report", "What was earned: by round, gateway and host; yields; lines for tax."),
    "chain": ("livefleet.cli.chain", "What stands on chain; change it with keys that no host holds."),
    "devchain": ("livefleet.cli.devchain", "A local chain with the protocol's contracts."),
}


class _Main(LazyGroup):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LivefleetError as error:
            report_failure(error)
            ctx.exit(exit_code_of(error))


@click.group(cls=_Main, commands_of=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="livefleet")
def main() -> None:
    """Declare a fleet of Livepeer nodes in one YAML file, and keep it so."""
