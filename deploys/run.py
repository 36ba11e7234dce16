"""Runs a deploy through pyinfra's API and tells what happens as JSON lines on stdout. `livefleet apply` is its reader.

A process of its own, because pyinfra lives on gevent, which patches the standard library under everything else.
Every line is an object with `event`; the events and their fields are those of `livefleet.control.events`.
"""

# ruff: noqa: E402 -- gevent must patch before anything is imported that holds a lock or a socket
from gevent import monkey

monkey.patch_all()

import argparse
import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TextIO

import gevent
from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import disconnect_all
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.operations import run_ops
from pyinfra.api.state import BaseStateCallback, StateStage
from pyinfra.connectors.local import LocalConnector
from pyinfra.context import ctx_config, ctx_host, ctx_inventory, ctx_state

import deploys
from deploys.decided import difference_to_plan
from deploys.entry import DECIDED, NOTES
from deploys.steps import TOLD
from inventory import host_data, scratch_folder, spec_path
from livefleet.kernel import BadInput, ExitCode, LivefleetError
from livefleet.spec import Fleet, load_fleet

__all__ = ["main"]

Deploy = Callable[[], None]
_NO_PASSWORDS = (
    "sudo asks the ssh user for a password: allow it without one"
    " (in /etc/sudoers.d/: `USER ALL=(ALL) NOPASSWD: ALL`), or log in as root"
)
_ALIVE_EVERY_S, _SILENT_FOR_S = 15, 60
_SILENT = "the command ended without a word: the connection was lost, or it took too long"


def main() -> int:
    """One run. Exit codes are those of every command."""
    options = _options()
    try:
        fleet = load_fleet(spec_path())
        names = _chosen(fleet, options.host)
        planned = None if options.plan is None else _planned_hosts(options.plan)
    except LivefleetError as error:
        _tell("bad_input", reason=str(error))
        return ExitCode.BAD_INPUT
    run = _Run(fleet, names, options, _take_stdin(), planned)
    entry = (lambda: deploys.remove(purge=options.purge)) if options.remove else deploys.site
    entry = deploys.rollback if options.rollback else entry
    try:
        return run.to_end(entry)
    except LivefleetError as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.PARTLY_FAILED


class _Run:
    def __init__(
        self,
        fleet: Fleet,
        names: list[str],
        options: argparse.Namespace,
        answers: TextIO,
        planned: dict[str, Any] | None,
    ) -> None:
        self.options = options
        self.answers = answers
        self.planned = planned  # None: whatever is needed is done
        scratch = scratch_folder()
        said = {"rollback": not options.keep_failed, "only_look": options.dry}
        self.inventory = Inventory(([(name, host_data(fleet, name, scratch) | said) for name in names], {}))
        for host in self.inventory:
            if fleet.host(host.name).is_local:
                host.connector_cls = LocalConnector  # under its own name: pyinfra itself knows only one @local
        config = Config(PARALLEL=min(options.parallel, len(names)), DIFF=options.diff)
        self.state = State(self.inventory, config, check_for_changes=True)
        self.teller = _Teller()
        self.state.add_callback_handler(self.teller)

    def to_end(self, entry: Deploy) -> int:
        """Connect, prepare, ask where wanted, execute; each host on its own."""
        ctx_state.set(self.state)
        ctx_inventory.set(self.inventory)
        ctx_config.set(self.state.config)
        _tell("begin", hosts=[host.name for host in self.inventory], dry=self.options.dry)
        try:
            self.state.set_stage(StateStage.Connect)
            self._each(self.inventory, self._connect)
            self.state.set_stage(StateStage.Prepare)
            self._each(self._alive(), lambda host: self._prepare(host, entry))
            if self._alive() and not self.options.dry and self._may_go_on():
                self.state.set_stage(StateStage.Execute)
                self._execute()
        finally:
            disconnect_all(self.state)
        _tell("end")
        return ExitCode.PARTLY_FAILED if self.state.failed_hosts else ExitCode.DONE

    def _alive(self) -> list[Host]:
        return self.inventory.get_active_hosts()

    def _each(self, hosts: Iterable[Host], work: Callable[[Host], None]) -> None:
        """In parallel; what goes wrong with one host is that host's alone."""
        running = {self.state.pool.spawn(self._guarded, work, host): host for host in list(hosts)}
        gevent.joinall(running, raise_error=True)

    def _guarded(self, work: Callable[[Host], None], host: Host) -> None:
        try:
            with ctx_host.use(host), ctx_config.use(self.state.config.copy()):
                work(host)
        except EOFError:  # pyinfra wanted to read a password, and there is nobody to type it
            self._fail(host, _NO_PASSWORDS)
        except (PyinfraError, LivefleetError, OSError) as error:
            self._fail(host, str(error) or type(error).__name__)

    def _connect(self, host: Host) -> None:
        host.connect(show_errors=False, raise_exceptions=True)
        _notice_silence(host)
        self.state.activate_host(host)
        _tell("connected", host=host.name)

    def _prepare(self, host: Host, entry: Deploy) -> None:
        entry()
        for step, text in host.connector_data.get(NOTES, ()):
            _tell("note", host=host.name, step=step, text=text)
        found = host.connector_data.get(DECIDED)
        if found is not None:
            _tell("decided", host=host.name, **found)
            why = None if self.planned is None else difference_to_plan(self.planned.get(host.name), found)
            if why is not None:
                self._fail(host, why, step="plan")
                return
        changes = [
            next(iter(self.state.get_op_meta(op).names))
            for op in host.op_hash_order
            if self.state.get_op_data_for_host(host, op).operation_meta.will_change
        ]
        _tell("planned", host=host.name, changes=changes)

    def _may_go_on(self) -> bool:
        if not self.options.ask:
            return True
        _tell("waiting")
        return self.answers.readline().strip() == "go"

    def _execute(self) -> None:
        try:
            run_ops(self.state)
        except PyinfraError as error:
            if self._alive():
                raise LivefleetError(f"the run broke off: {error}") from error
        # When the last host fails, pyinfra stops without ending the operation.
        for op_hash in self.state.get_op_order():
            self.teller.tell_results(self.state, op_hash)

    def _fail(self, host: Host, reason: str, *, step: str = "") -> None:
        stage = "connect" if self.state.current_stage is StateStage.Connect else "prepare"
        _tell("failed", host=host.name, step=step or stage, reason=reason)
        self.state.failed_hosts.add(host)
        self.state.active_hosts.discard(host)


class _Teller(BaseStateCallback):
    """An operation's outcome is known in full only at its end, when every host has had it."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()

    def operation_host_start(self, state: State, host: Host, op_hash: str) -> None:
        if op_hash in state.ops[host]:
            _tell("step", host=host.name, step=_name(state, op_hash))

    def operation_end(self, state: State, op_hash: str) -> None:
        self.tell_results(state, op_hash)

    def tell_results(self, state: State, op_hash: str) -> None:
        """Each host's result of one operation, once."""
        step = _name(state, op_hash)
        for host in state.inventory:
            data = state.ops[host].get(op_hash)
            if data is None or not data.operation_meta.is_complete() or (host.name, op_hash) in self._told:
                continue
            self._told.add((host.name, op_hash))
            meta = data.operation_meta
            for line in meta.stdout_lines:
                if line.startswith(TOLD):
                    _tell("agent", host=host.name, what=line.removeprefix(TOLD))
            if meta.did_succeed():
                _tell("done", host=host.name, step=step, changed=meta.did_change())
            else:
                said = meta.stderr_lines[-25:] or meta.stdout_lines[-25:]
                _tell("failed", host=host.name, step=step, reason="\n".join(said) or _SILENT)


def _name(state: State, op_hash: str) -> str:
    return next(iter(state.get_op_meta(op_hash).names))


def _chosen(fleet: Fleet, wanted: list[str]) -> list[str]:
    for name in wanted:
        fleet.host(name)  # raises with a "did you mean"
    return [name for name in fleet.hosts if not wanted or name in wanted]


def _planned_hosts(path: Path) -> dict[str, Any]:
    """By host what `livefleet plan --out` kept. Raises BadInput."""
    try:
        return {host["host"]: host for host in json.loads(path.read_text())["hosts"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: no plan that can be read: {error}") from error


def _notice_silence(host: Host) -> None:
    """A host that is gone without a word is noticed after a minute; TCP by itself takes a quarter of an hour."""
    client = getattr(host.connector, "client", None)
    transport = client.get_transport() if client is not None else None
    if transport is None:
        return
    transport.set_keepalive(_ALIVE_EVERY_S)
    with contextlib.suppress(AttributeError, OSError):  # behind a jump host it is no socket
        transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENT_FOR_S * 1000)


def _take_stdin() -> TextIO:
    """Our stdin for our reader's answers; to everything else it is at its end, so that no prompt can hang."""
    answers = os.fdopen(os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return answers


def _tell(event: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploys.run", description=__doc__)
    parser.add_argument("--host", action="append", default=[], help="only this host; may be repeated")
    parser.add_argument("--dry", action="store_true", help="plan only")
    parser.add_argument("--diff", action="store_true", help="tell how files differ; never of secrets")
    parser.add_argument("--ask", action="store_true", help="wait for a line `go` on stdin before the first change")
    parser.add_argument("--remove", action="store_true", help="take livefleet off the hosts")
    parser.add_argument("--purge", action="store_true", help="with --remove: keys and tickets too")
    parser.add_argument("--rollback", action="store_true", help="let hosts run again what they ran before")
    parser.add_argument("--keep-failed", action="store_true", help="a host that does not serve does not go back")
    parser.add_argument("--plan", type=Path, help="a file of `livefleet plan --out`: hosts must still be as in it")
    parser.add_argument("--parallel", type=int, default=20, help="hosts at once")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
