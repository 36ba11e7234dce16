"""Locks on hosts, so that two operators do not cross: on the host itself, since operators have machines of their own.

`<opt>/operator.lock` holds four lines: token, unix second at which it ends by the host's own clock, owner, unix second
at which it began. It is renewed while its owner works; one that has ended belongs to nobody. Deploys refuse to change a
host that is under somebody else's lock.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from threading import Event, Lock, Thread
from typing import Final

from livefleet.control.remote import run_on_host
from livefleet.kernel import LivefleetError, OutsideWorld
from livefleet.spec import Fleet, HostSettings

__all__ = ["HELD_FOR_S", "Holder", "HostLock", "HostLocks", "LockState"]

HELD_FOR_S: Final = 600
"""Seconds that a lock holds without being renewed: what others wait for an operator whose machine died."""

_TIMEOUT_S = 60.0
_RENEW_S = HELD_FOR_S / 4

# Arguments: action, token, seconds, owner, opt, state folder. Prints what the host answers.
_SCRIPT = r"""
set -eu
action=$1 token=$2 hold=$3 owner=$4 opt=$5 state=$6
umask 022; mkdir -p "$opt"; umask 077
exec 9>"$opt/operator.lock.mutex"; flock -w 20 9
file=$opt/operator.lock; held=; until=0; who=; since=0
if [ -r "$file" ]; then { read -r held; read -r until; read -r who; read -r since; } <"$file" || true; fi
now=$(date +%s); holds=
if [ "$held" ] && [ "$until" -gt "$now" ]; then holds=1; fi
case $action in
release) if [ "$held" = "$token" ]; then rm -f "$file"; fi; echo free; exit ;;
renew) if [ "$held" != "$token" ]; then echo "held $((until - now)) $since $who"; exit; fi ;;
take) if [ "$holds" ] && [ "$held" != "$token" ]; then echo "held $((until - now)) $since $who"; exit; fi ;;
break)
  if [ "$holds" ] && [ "$held" != "$token" ] && [ -d "$state" ]; then
    printf '{"at": %s, "who": "%s", "action": "break lock", "outcome": "taken from %s"}\n' "$now" "$owner" "$who" \
      >>"$state/journal.jsonl"
  fi ;;
esac
if [ "$held" != "$token" ]; then since=$now; fi
printf '%s\n%s\n%s\n%s\n' "$token" "$((now + hold))" "$owner" "$since" >"$file.new"
sync "$file.new"; mv -f "$file.new" "$file"
echo ours
"""


class LockState(StrEnum):
    """How a host answered."""

    OURS = "ours"
    FREE = "free"  # after a release
    HELD = "held"  # by somebody else
    UNREACHED = "unreached"


@dataclass(frozen=True, slots=True)
class HostLock:
    """One host's answer."""

    host: str
    state: LockState
    text: str = ""  # who holds it and for how long, or why the host was not reached


@dataclass(frozen=True, slots=True)
class Holder:
    """Who locks."""

    name: str  # `alice@laptop`
    token: str  # tells two of the same name apart


class HostLocks:
    """The locks of one holder on hosts of one fleet."""

    def __init__(
        self,
        fleet: Fleet,
        holder: Holder,
        *,
        parallel: int = 16,
        run: Callable[..., str] = run_on_host,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._fleet = fleet
        self._holder = Holder(_one_line(holder.name), _one_line(holder.token))
        self._parallel = parallel
        self._run = run
        self._now = now
        self._lost: dict[str, str] = {}
        self._guard = Lock()

    def take(self, hosts: Sequence[str], *, by_force: bool = False) -> tuple[HostLock, ...]:
        """Take each host's lock unless somebody else holds it; `by_force`: also then, noted in the host's journal."""
        return self._each("break" if by_force else "take", hosts)

    def release(self, hosts: Sequence[str]) -> tuple[HostLock, ...]:
        """Give back those that are ours."""
        return self._each("release", hosts)

    def check(self) -> None:
        """Raises OutsideWorld when somebody else has taken a lock of ours."""
        with self._guard:
            if self._lost:
                host, text = next(iter(self._lost.items()))
                raise OutsideWorld(f"{host}: the lock is no longer ours: {text}; nothing more is done")

    @contextmanager
    def kept(self, hosts: Sequence[str]) -> Iterator[None]:
        """Renew the locks while the block runs."""
        stop = Event()
        thread = Thread(target=self._keep, args=(hosts, stop), name="locks", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(_TIMEOUT_S)

    def _keep(self, hosts: Sequence[str], stop: Event) -> None:
        while not stop.wait(_RENEW_S):
            self._note_lost(self._each("renew", hosts))

    def _note_lost(self, answers: Sequence[HostLock]) -> None:
        with self._guard:
            self._lost |= {answer.host: answer.text for answer in answers if answer.state is LockState.HELD}

    def _each(self, action: str, hosts: Sequence[str]) -> tuple[HostLock, ...]:
        with ThreadPoolExecutor(max_workers=self._parallel, thread_name_prefix="lock") as pool:
            return tuple(pool.map(lambda host: self._one(action, host), hosts))

    def _one(self, action: str, host: str) -> HostLock:
        node, settings = self._fleet.node(host), self._fleet.host(host)
        opt = f"{node.root.rstrip('/')}/opt/livefleet"
        words = [self._holder.token, str(HELD_FOR_S), self._holder.name, opt, str(node.paths.state)]
        try:
            answer = self._ask(settings, ["sh", "-c", _SCRIPT, "lock", action, *words])
        except LivefleetError as error:
            return HostLock(host, LockState.UNREACHED, str(error))
        state, _, rest = answer.strip().partition(" ")
        if state != LockState.HELD:
            return HostLock(host, LockState(state))
        left_s, since, who = [*rest.split(" ", 2), "", ""][:3]
        began_s = max(0, int(self._now()) - int(since or 0))
        text = f"{who or 'nobody'} has been at it for {began_s} s; it ends in {left_s} s unless renewed"
        return HostLock(host, LockState.HELD, text)

    def _ask(self, settings: HostSettings, words: list[str]) -> str:
        return self._run(settings, words, timeout_s=_TIMEOUT_S)


def _one_line(text: str) -> str:
    """Fit for a line of the lock's file and for a JSON text."""
    return "".join(c for c in text if c.isprintable() and c not in '"\\') or "somebody"
