"""`livefleet agent run|check NODE.yaml`: the node itself."""

import asyncio
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from livefleet.cli.agent_drain import drain
from livefleet.cli.agent_ledger import ledger
from livefleet.cli.agent_reload import reload
from livefleet.cli.agent_store import store
from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput, ExitCode, LivefleetError
from livefleet.kernel.private_memory import keep_memory_private

if TYPE_CHECKING:
    from livefleet.spec import NodeSpec

__all__ = ["command"]

_START_AGAIN = os.EX_TEMPFAIL
"""How a node ends that wants to be started again with what it has pulled: not 0, which would end its service."""

_NODE = click.argument("node", type=click.Path(dir_okay=False, path_type=Path))


@click.group()
def command() -> None:
    """The node agent, as the service runs it."""


command.add_command(drain)
command.add_command(ledger)
command.add_command(reload)
command.add_command(store)


@command.command()
@_NODE
def run(node: Path) -> None:
    """Run the node until SIGTERM or SIGINT; then drain and stop. SIGHUP: look at NODE and drains now."""
    # Children are only ever exec'ed, so gRPC need not survive a fork; trying to, it writes lines of its own to stderr.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
    keep_memory_private()
    import uvloop

    from livefleet.app import Agent
    from livefleet.kernel.log import configure
    from livefleet.kernel.pid_file import PID_FILE, holding
    from livefleet.pull import newest_settings
    from livefleet.roles import pull_store
    from livefleet.spec import load_node, node_digest

    applied = load_node(node)
    configure(applied.monitoring.log_level)
    spec = applied if applied.pull is None else newest_settings(applied, pull_store(applied))
    configure(spec.monitoring.log_level)
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
    from livefleet.spec import load_node

    spec = load_node(node)
    findings = [
        *_check_files(spec),
        *asyncio.run(_check_keys(spec)),
        *_check_programs(spec),
        *_check_addresses(spec),
        *asyncio.run(_check_outside(spec)),
    ]
    ok = all(good for _, good, _ in findings)
    if as_json:
        print_json({"ok": ok, "findings": [{"what": w, "ok": g, "message": m} for w, g, m in findings]})
    else:
        for what, good, message in findings:
            console().print(f"{'ok  ' if good else 'FAIL'}  {what}: {message}")
    ctx.exit(ExitCode.DONE if ok else ExitCode.PARTLY_FAILED)


Finding = tuple[str, bool, str]


def _check_files(spec: "NodeSpec") -> list[Finding]:
    from livefleet.roles.base import read_secret

    found: list[Finding] = [("spec", True, f"{spec.name}, role {spec.role.value}, network {spec.network.name.value}")]
    for name in spec.secrets:
        try:
            read_secret(spec, name)
        except BadInput as error:
            found.append((f"secret {name}", False, str(error)))
        else:
            found.append((f"secret {name}", True, "readable"))
    return found


async def _check_keys(spec: "NodeSpec") -> list[Finding]:
    from livefleet.chain import RemoteSigner, read_key_file
    from livefleet.roles.base import close_signer, open_signer

    found: list[Finding] = []
    for name, key in spec.keys.items():
        try:
            signer = await open_signer(spec, name)
            try:
                where = ""
                if isinstance(signer, RemoteSigner):
                    await signer.check()
                    where = f" at {key.remote.url if key.remote else ''}"
                elif key.file is not None and (file := read_key_file(spec.paths.resolve(key.file))).is_open_to_others:
                    where = f"; open to others: chmod 600 {file.path}"
            finally:
                await close_signer(signer)
        except LivefleetError as error:
            found.append((f"key {name}", False, str(error)))
        else:
            found.append((f"key {name}", True, signer.address + where))
    return found


def _check_programs(spec: "NodeSpec") -> list[Finding]:
    from livefleet.spec import Role

    if spec.role is not Role.ORCHESTRATOR:
        return []
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    return [("nginx", nginx is not None, nginx or "not installed: apt-get install nginx-light")]


def _check_addresses(spec: "NodeSpec") -> list[Finding]:
    wanted = {"admin address": spec.monitoring.admin_listen}
    if spec.orchestrator is not None:
        wanted["front door"] = spec.orchestrator.listen
    if spec.redeemer is not None:
        wanted["redeemer"] = spec.redeemer.listen
    found: list[Finding] = []
    for what, address in wanted.items():
        host, _, port = address.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((host.strip("[]"), int(port)))
            except OSError as error:
                found.append((what, False, f"{address}: {error.strerror} (is the agent running already?)"))
            else:
                found.append((what, True, f"{address} is free"))
    return found


async def _check_outside(spec: "NodeSpec") -> list[Finding]:
    from livefleet.hardware import read_snapshot
    from livefleet.reconcile.resources.gpus import gpu_conditions

    snapshot = await asyncio.to_thread(read_snapshot, 0.0)
    found: list[Finding] = [
        (f"{c.name} {c.subject}".strip(), c.status.value == "true", c.message)
        for c in gpu_conditions(snapshot, spec.gpus, spec.driver)
    ]
    if not spec.network.on_chain:
        return found
    from livefleet.chain import connect

    chain_id = spec.network.chain_id
    try:
        async with await connect(spec.network) as client:
            chain_id = client.chain_id
            found.append(("chain", True, f"chain id {chain_id}"))
    except LivefleetError as error:
        found.append(("chain", False, str(error)))
    return [*found, *await _check_database(spec, chain_id)]


async def _check_database(spec: "NodeSpec", chain_id: int | None) -> list[Finding]:
    from livefleet.roles.store_check import check_database

    if (shared := spec.shared_store) is None:
        return []
    try:
        return [("database", True, await check_database(spec, shared, chain_id))]
    except LivefleetError as error:
        return [("database", False, str(error))]


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
