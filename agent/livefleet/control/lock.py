"""Locks on hosts, so that two operators do not cross: on the host itself, since operators have machines of their own.

`<opt>/operator.lock` is renewed while its owner works; one that has ended belongs to nobody. Deploys refuse to change a
host that is under somebody else's lock, and take it for themselves while they change one.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from threading import Event, Lock, Thread

from livefleet.control.remote import run_on_host
from livefleet.kernel import LivefleetError, OutsideWorld
from livefleet.spec import Fleet, HostSettings
from livefleet.spec.operator_lock import LOCK_HELD_FOR_S, LOCK_SCRIPT

__all__ = ["Holder", "HostLock", "HostLocks", "LockState"]

_TIMEOUT_S = 60.0
_RENEW_S = LOCK_HELD_FOR_S / 4


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
        words = [self._holder.token, str(LOCK_HELD_FOR_S), self._holder.name, opt, str(node.paths.state)]
        try:
            answer = self._ask(settings, ["sh", "-c", LOCK_SCRIPT, "lock", action, *words])
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
