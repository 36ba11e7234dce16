"""Runs the deploy of the checkout in a process of its own and passes on what it tells."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import IO

from livefleet.control.events import BadInputEvent, Event, Planned, StepStarted, Waiting, parse_event
from livefleet.control.stop import Stop
from livefleet.control.summary import Summary, summarize
from livefleet.kernel import BadInput, ExitCode, LivefleetError
from livefleet.spec import is_fleet_folder, own_fleet_folder
from livefleet.spec.secret_command import TERMINAL, own_terminal

__all__ = ["ApplyCutOff", "ApplyOptions", "apply", "find_checkout"]

_STOP_GRACE_S = 30
_LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """What to do, and to whom."""

    hosts: tuple[str, ...] = ()  # none: all
    dry: bool = False
    diff: bool = False
    remove: bool = False  # take livefleet off instead
    purge: bool = False  # with remove: keys and tickets too
    rollback: bool = False  # let hosts run again what they ran before, instead
    keep_failed: bool = False  # a host that does not serve what is new stays so, and does not go back
    lock: str = ""  # token of an operator's lock that the hosts are under
    parallel: int = 20
    plan: Path | None = None  # a file of `save_plan`: hosts that are no longer as in it are refused


class ApplyCutOff(LivefleetError):
    """It was asked to stop, and its time was over; `begun`: hosts where something had been changed, or was being."""

    def __init__(self, begun: frozenset[str]) -> None:
        super().__init__("the deploy was cut off on request")
        self.begun = begun


def apply(
    spec: Path,
    options: ApplyOptions,
    *,
    on_event: Callable[[Event], None],
    confirm: Callable[[], bool] | None = None,
    checkout: Path | None = None,
    stop: Stop | None = None,
    stop_grace_s: float = 45.0,
) -> Summary:
    """Bring the hosts to what `spec` declares.

    Args:
        spec: fleet.yaml.
        options: what to do.
        on_event: called with each event as it comes.
        confirm: asked once everything is planned, before the first change. None: go on without asking.
        checkout: folder that holds `deploys/` and `inventory/`. None: found by `find_checkout`.
        stop: once asked for, the run is cut off unless it ends in time.
        stop_grace_s: seconds that it then has.

    Raises:
        ApplyCutOff: because of `stop`.
        BadInput: the spec is wrong, a host is unknown, or there is no checkout.
        LivefleetError: the run itself broke; the message ends with what it printed.
    """
    if not spec.exists():
        raise BadInput(f"{spec}: no such file; give --fleet or run where fleet.yaml is")
    folder = checkout or find_checkout(Path.cwd())
    events: list[Event] = []
    with (
        tempfile.TemporaryFile("w+") as log,
        _running(_command(options, ask=confirm is not None), spec, folder, log, options.lock) as run,
        _stoppable(run, stop, stop_grace_s),
    ):
        assert run.stdout is not None
        assert run.stdin is not None
        for line in run.stdout:
            event = parse_event(line)
            if event is None:
                continue
            events.append(event)
            on_event(event)
            if isinstance(event, Waiting):
                run.stdin.write("go\n" if confirm is not None and confirm() else "stop\n")
                run.stdin.flush()
        code = run.wait()
        log.seek(0)
        printed = log.read().strip()[-3000:]
    wrong = next((event for event in events if isinstance(event, BadInputEvent)), None)
    if wrong is not None:
        raise BadInput(wrong.reason)
    if code < 0 and stop is not None and stop.is_asked:
        raise ApplyCutOff(_begun(events))
    summary = summarize(events)
    looked = summary.dry and code == ExitCode.DONE  # a host that would be refused is no failure of the run
    if code != summary.exit_code and not looked:  # it broke in a way that it could not tell
        raise LivefleetError(f"the deploy ended with status {code}:\n{printed}")
    return summary


def find_checkout(start: Path) -> Path:
    """The nearest folder from `start` upwards that holds the deploys, else those that came with this package."""
    here = start.resolve()
    found = next((folder for folder in (here, *here.parents) if is_fleet_folder(folder)), None) or own_fleet_folder()
    if found is None:
        raise BadInput("this installation of livefleet has no deploys (it is a host's); run this from an operator's")
    return found


def _begun(events: Sequence[Event]) -> frozenset[str]:
    """Hosts of which a step that changes something was started."""
    planned = {event.host: event.changes for event in events if isinstance(event, Planned)}
    steps = (event for event in events if isinstance(event, StepStarted))
    return frozenset(event.host for event in steps if event.step in planned.get(event.host, ()))


def _command(options: ApplyOptions, *, ask: bool) -> list[str]:
    flags: Sequence[tuple[bool, str]] = (
        (options.dry, "--dry"),
        (options.diff, "--diff"),
        (options.remove, "--remove"),
        (options.purge, "--purge"),
        (options.rollback, "--rollback"),
        (options.keep_failed, "--keep-failed"),
        (ask and not options.dry, "--ask"),
    )
    command = [sys.executable, "-m", "deploys.run", "--parallel", str(options.parallel)]
    command += [flag for wanted, flag in flags if wanted]
    if options.plan is not None:
        command += ["--plan", str(options.plan.absolute())]
    return command + [word for host in options.hosts for word in ("--host", host)]


@contextmanager
def _running(
    command: Sequence[str], spec: Path, folder: Path, log: IO[str], lock: str
) -> Iterator[subprocess.Popen[str]]:
    # A session of its own: nothing in it can ask for a password on our terminal but programs that fetch secrets.
    own = {"LIVEFLEET_SPEC": str(spec.absolute()), "LIVEFLEET_LOCK": lock, TERMINAL: own_terminal()}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {name: value for name, value in own.items() if value},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


@contextmanager
def _stoppable(process: subprocess.Popen[str], stop: Stop | None, grace_s: float) -> Iterator[None]:
    if stop is None:
        yield
        return
    ended = Flag()

    def watch() -> None:
        while not stop.wait(_LOOK_S):
            if ended.is_set():
                return
        if not ended.wait(grace_s):
            process.terminate()

    thread = Thread(target=watch, name="apply-stop", daemon=True)
    thread.start()
    try:
        with stop.ending(process.terminate):
            yield
    finally:
        ended.set()
