"""`livefleet agent run|check NODE.yaml`: the node itself."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click

from livefleet.cli.agent_doctor import doctor
from livefleet.cli.agent_drain import drain
from livefleet.cli.agent_first_boot import first_boot
from livefleet.cli.agent_gpu import gpu
from livefleet.cli.agent_ledger import ledger
from livefleet.cli.agent_reload import reload
from livefleet.cli.agent_smoke import smoke
from livefleet.cli.agent_store import store
from livefleet.cli.output import console, print_json
from livefleet.kernel import ExitCode, LivefleetError
from livefleet.kernel.private_memory import keep_memory_private

__all__ = ["command"]

_START_AGAIN = os.EX_TEMPFAIL
"""How a node ends that wants to be started again with what it has pulled: not 0, which would end its service."""

_NODE = click.argument("node", type=click.Path(dir_okay=False, path_type=Path))


@click.group()
def command() -> None:
    """The node agent, as the service runs it."""


command.add_command(doctor)
command.add_command(drain)
command.add_command(first_boot)
command.add_command(gpu)
command.add_command(ledger)
command.add_command(reload)
command.add_command(smoke)
command.add_command(store)


@command.command()
@_NODE
def run(node: Path) -> None:
    """Run the node until SIGTERM or SIGINT; then drain and stop. SIGHUP: look at NODE and drains now."""
    # Children are only ever exec'ed, so gRPC need not survive a fork; trying to, it writes lines of its own to stderr.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
    keep_memory_private()
    import uvloop

    from livefleet import roles
    from livefleet.app import Agent
    from livefleet.kernel.log import configure
    from livefleet.kernel.pid_file import PID_FILE, holding
    from livefleet.pull import newest_settings
    from livefleet.spec import load_node, node_digest, require_packages

    applied = load_node(node)
    configure(applied.monitoring.log_level)
    require_packages(applied)
    spec = applied if applied.pull is None else newest_settings(applied, roles.pull_store(applied))
    configure(spec.monitoring.log_level, context={"node": spec.name, "role": spec.role.value})
    roles.load_packages(spec)
    agent = Agent(spec, digest=node_digest(spec), release=_release(), applied=node_digest(applied))

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, agent.reload, node)
        with holding(spec.paths.run / PID_FILE):
            await agent.run(stop)

    try:
        uvloop.run(serve())
    except* LivefleetError as group:
        raise _first(group) from group
    if agent.wants_restart:
        sys.exit(_START_AGAIN)


@command.command()
@_NODE
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def check(ctx: click.Context, node: Path, as_json: bool) -> None:
    """Look at everything that NODE needs on this host, without starting anything."""
    from livefleet.doctor import needs
    from livefleet.spec import Grade, load_node

    findings = asyncio.run(needs(load_node(node)))
    ok = not any(finding.grade is Grade.FAIL for finding in findings)
    if as_json:
        told = [{"what": f.what, "ok": f.grade is not Grade.FAIL, "message": f.message, "fix": f.fix} for f in findings]
        print_json({"ok": ok, "findings": told})
    else:
        for finding in findings:
            word = {Grade.OK: "ok", Grade.FAIL: "FAIL"}.get(finding.grade, finding.grade.value)
            console().print(f"{word:4}  {finding.what}: {finding.message}", markup=False)
            if finding.fix:
                console().print(f"      -> {finding.fix}", markup=False)
    ctx.exit(ExitCode.DONE if ok else ExitCode.PARTLY_FAILED)


def _first(group: BaseExceptionGroup[Any]) -> LivefleetError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, LivefleetError)
    return error


def _release() -> str:
    """Folder name of the release that this interpreter belongs to, or `checkout`."""
    release = Path(sys.prefix).parent
    return release.name if release.parent.name == "releases" else os.environ.get("LIVEFLEET_RELEASE", "checkout")
