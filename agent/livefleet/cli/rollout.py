"""`livefleet rollout`: take what is declared over the fleet in batches, proven, and back where it does not serve."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from livefleet.cli.duration import duration
from livefleet.cli.interrupt import Interrupt
from livefleet.cli.output import console
from livefleet.cli.rollout_show import RolloutProgress, exit_code_of, print_history, print_plan, print_result
from livefleet.cli.smoke import smoke_of
from livefleet.control import find_checkout
from livefleet.control.journal import operator_name, read_deeds
from livefleet.control.rollout import RolloutRecord, RolloutRequest, RolloutSession
from livefleet.control.smoke import Smoke, why_not_paid
from livefleet.control.stop import Stop
from livefleet.kernel import BadInput
from livefleet.spec import Fleet, RolloutSettings, load_fleet
from livefleet.spec.rollout import parse_share

__all__ = ["command"]

_ASKED = (
    "stopping: nothing new is begun, what is being changed has 45 s to come to its end, and hosts that were only"
    " drained serve again. Once more to leave at once."
)
_LEFT = (
    "left at once: hosts may be drained or in the middle of their change. `livefleet rollout --resume` goes on,"
    " `--forget` takes them into service as they are. Locks on hosts end by themselves within 10 minutes."
)


def _share(text: str) -> int | str:
    try:
        return parse_share(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _canary(text: str) -> int | tuple[str, ...]:
    return int(text) if text.isdecimal() else tuple(name.strip() for name in text.split(",") if name.strip())


@click.command("rollout")
@click.argument("hosts", nargs=-1)
@click.option(
    "--fleet", "path", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml", help="The spec."
)
@click.option("--dry", is_flag=True, help="Only say which hosts would change, in which batches.")
@click.option("--yes", is_flag=True, help="Do not ask before the first change.")
@click.option("--max-unavailable", type=_share, metavar="N|P%", help="Hosts away at once among those alike.")
@click.option("--canary", type=_canary, metavar="N|HOST,...", help="So many of each role first, or these hosts.")
@click.option("--bake", type=duration, metavar="TIME", help="How long canaries serve before others follow.")
@click.option("--drain", type=duration, metavar="TIME", help="How long running streams may go on; 0: no draining.")
@click.option("--smoke/--no-smoke", default=None, help="Whether changed hosts must do a paid job.")
@click.option("--no-rollback", "keep_failed", is_flag=True, help="Hosts that do not serve stay as they are.")
@click.option("--resume", is_flag=True, help="Go on with the rollout that was cut off.")
@click.option("--forget", is_flag=True, help="End the rollout that was cut off where it stands.")
@click.option("--break-lock", is_flag=True, help="Take hosts from another operator who is gone.")
@click.option("--history", is_flag=True, help="What was rolled out from this machine, and how it ended.")
@click.option("--parallel", type=click.IntRange(1), default=20, show_default=True, help="Hosts at once, at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout; progress stays on stderr.")
@click.pass_context
def command(
    ctx: click.Context,
    hosts: tuple[str, ...],
    path: Path,
    *,
    dry: bool,
    yes: bool,
    max_unavailable: int | str | None,
    canary: int | tuple[str, ...] | None,
    bake: float | None,
    drain: float | None,
    smoke: bool | None,
    keep_failed: bool,
    resume: bool,
    forget: bool,
    break_lock: bool,
    history: bool,
    parallel: int,
    as_json: bool,
) -> None:
    """Bring HOSTS (all unless named) to what the spec declares, a few at a time.

    Redeemers and keykeepers first, then orchestrators (those that are not registered before the one that is), then
    workers; of those that stand in for one another never more at once than `rollout.max_unavailable` allows. Each host
    is drained, changed, looked at, taken into service and tried by a paid job; one that fails goes back to what it ran
    before, and nobody follows. Options stand above the spec's `rollout:`.

    Ctrl-C (or SIGTERM) ends it in order: nothing new is begun, hosts that were only drained serve again, and it is said
    which ones are in the middle of their change; a second one leaves at once. --resume goes on after either.

    Exit code 0 done, 1 some host failed or was not begun, 2 bad input, 3 another operator is at work or no host was
    reached.
    """
    if sum((dry, resume, forget, history)) > 1:
        raise BadInput("--dry, --resume, --forget and --history are different things: give one of them")
    if not (yes or dry or forget or history or sys.stdin.isatty()):
        raise BadInput("without a terminal there is nobody to ask: give --yes, or --dry to only look")
    fleet = load_fleet(path)
    for name in hosts:
        fleet.host(name)
    changes = {
        "max_unavailable": max_unavailable,
        "canary": canary,
        "bake_s": bake,
        "drain_s": drain,
        "smoke": smoke,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    settings = RolloutSettings.model_validate(fleet.spec.rollout.model_dump() | given)
    request = RolloutRequest(settings, hosts, parallel, keep_failed=keep_failed)
    progress = RolloutProgress(console(stderr=True))
    interrupt = Interrupt(asked=_ASKED, left=_LEFT)
    smoke_for = _smoke_for(fleet, progress, interrupt.stop)
    session = RolloutSession(fleet, find_checkout(Path.cwd()), operator_name(), progress.watcher(), smoke_for)
    if history:
        print_history(read_deeds(session.journal), as_json=as_json)
        return
    cut_off = session.unfinished()
    if forget:
        _forget(session, cut_off)
        return
    with progress:
        if dry:
            record = session.plan(request)
            print_plan(record, as_json=as_json)
        else:
            how = _How(resume=resume, yes=yes, by_force=break_lock)
            record = _roll(session, request, fleet, cut_off, progress, interrupt, how)
            print_result(record, as_json=as_json)
    ctx.exit(exit_code_of(record, dry=dry))


@dataclass(frozen=True, slots=True)
class _How:
    resume: bool
    yes: bool
    by_force: bool


def _roll(
    session: RolloutSession,
    request: RolloutRequest,
    fleet: Fleet,
    cut_off: RolloutRecord | None,
    progress: RolloutProgress,
    interrupt: Interrupt,
    how: _How,
) -> RolloutRecord:
    if how.resume and cut_off is None:
        raise BadInput("there is no rollout of this fleet to resume from this machine")
    if not how.resume and cut_off is not None:
        raise BadInput(
            f"rollout {cut_off.id} was cut off before its end: --resume goes on with it, --forget ends it where it is"
        )
    names = tuple(cut_off.hosts) if cut_off else (request.hosts or fleet.hosts)
    known = [name for name in names if name in fleet.hosts]
    token = cut_off.token if cut_off else RolloutSession.new_token()
    with interrupt, session.locked(known, token, by_force=how.by_force) as locks:
        if cut_off is not None:
            session.resumable(cut_off, request)
            record = cut_off
        else:
            record = session.plan(request, token)
        if not record.batches:
            return record
        progress.show_plan(record)
        if not (how.yes or progress.ask()):
            raise BadInput("nothing was changed")
        try:
            interrupt.hold()
            return session.carry_out(record, request, locks, interrupt.stop)
        except BaseException:
            progress.say("cut off; `livefleet rollout --resume` goes on with it, `--forget` ends it where it stands")
            raise


def _forget(session: RolloutSession, cut_off: RolloutRecord | None) -> None:
    if cut_off is None:
        raise BadInput("there is no rollout of this fleet to forget from this machine")
    session.forget(cut_off)
    console(stderr=True).print(f"rollout {cut_off.id} is ended where it stood; its hosts serve", markup=False)


def _smoke_for(fleet: Fleet, progress: RolloutProgress, stop: Stop) -> Callable[[Sequence[str]], Smoke | None]:
    def smoke_for(hosts: Sequence[str]) -> Smoke | None:
        if why := why_not_paid(fleet, hosts):
            progress.say(f"{why}: hosts are looked at, and do no paid job")
            return None
        return smoke_of(fleet, hosts=hosts, stop=stop)

    return smoke_for
