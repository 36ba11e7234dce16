"""Keeps the node's settings as the fleet's bundle has them: look, compare, take over, or say why not.

A change that the running agent can take over is taken at once. One that needs a restart waits for this host's moment
(so that a fleet does not restart as one), and a restart into settings which do not come up ends in the old ones.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from livefleet.kernel import BadInput, Blocking, Clock, Condition, Status
from livefleet.pull import (
    Held,
    Published,
    PullError,
    PullStore,
    Rejected,
    Standing,
    promoted,
    refusals,
    rejected,
    trying,
)
from livefleet.reconcile.model import Action, Again, Plan
from livefleet.spec import NodeSpec, PullSettings

__all__ = ["PROVEN_AFTER_S", "Looked", "PulledSpecResource", "Reader", "Refusal", "Takeover", "pulled_plan"]

PROVEN_AFTER_S: Final = 10.0
"""Ready for so long, new settings count as good."""

_PATIENCE_S: Final = 300.0  # to become ready in, besides the time that models may load in
_WATCH_EVERY_S: Final = 1.0  # while new settings are to prove themselves, or wait for their moment


class Reader(Protocol):
    """A bundle as this host sees it; blocking."""

    def look(self) -> Published:
        """What is published for this host now. Raises PullError."""
        ...

    def fetch(self) -> bytes:
        """The content of what `look` told of. Raises PullError."""
        ...


@dataclass(frozen=True, slots=True)
class Takeover:
    """What the agent offers: its own settings, and the ways to other ones."""

    running: Callable[[], NodeSpec]
    is_ready: Callable[[], bool]
    take_live: Callable[[NodeSpec], tuple[str, ...]]  # what needs a restart; raises BadInput, and nothing has changed
    restart: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A slice that is left alone."""

    sha256: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Looked:
    """What is known at one moment. Durations are seconds."""

    standing: Standing
    published: Published | None  # the newest that was seen
    fault: PullError | None  # of the last look
    refusal: Refusal | None
    unseen_for_s: float  # since a look succeeded, or since the start
    up_for_s: float
    ready_for_s: float  # 0: it is not
    patience_s: float  # in which new settings have to be ready
    restart_in_s: float | None  # new settings wait to be started with


@dataclass(frozen=True, slots=True)
class _Take(Action):
    published: Published


@dataclass(frozen=True, slots=True)
class _Promote(Action):
    pass


@dataclass(frozen=True, slots=True)
class _PutBack(Action):
    pass


@dataclass(frozen=True, slots=True)
class _Restart(Action):
    pass


class PulledSpecResource:
    """The loop's view of pull mode. `applied`: digest of the node.yaml that `apply` wrote last."""

    name = "pulled-spec"

    def __init__(
        self,
        settings: PullSettings,
        applied: Callable[[], str],
        reader: Reader,
        store: PullStore,
        agent: Takeover,
        clock: Clock,
        blocking: Blocking,
    ) -> None:
        self._settings = settings
        self._applied = applied
        self._reader = reader
        self._store = store
        self._agent = agent
        self._clock = clock
        self._blocking = blocking
        self._standing = store.standing()
        self._published: Published | None = None
        self._fault: PullError | None = None
        self._refusal: Refusal | None = None
        self._started_at = clock.monotonic()
        self._looked_at: float | None = None
        self._seen_at: float | None = None
        self._ready_since: float | None = None
        self._restart_at: float | None = None

    async def observe(self) -> Looked:
        """Looks at the bundle when its time has come; the rest is known here."""
        now = self._clock.monotonic()
        if self._looked_at is None or now - self._looked_at >= self._settings.every_s:
            self._looked_at = now
            try:
                self._published = await self._blocking.run(self._reader.look)
                self._fault, self._seen_at = None, now
            except PullError as error:
                self._fault = error
        if not self._agent.is_ready():
            self._ready_since = None
        elif self._ready_since is None:
            self._ready_since = now
        return self._looked()

    def plan(self, observed: Looked) -> Plan:
        """What follows from it."""
        return pulled_plan(observed, self._settings, self._clock.now())

    async def apply(self, action: Action) -> None:
        """One of the plan's actions."""
        match action:
            case _Take(published=published):
                await self._take(published)
            case _Promote():
                self._remember(promoted(self._standing))
            case _PutBack():
                self._remember(rejected(self._standing, f"the node was not ready {_PATIENCE_S:.0f} s after its start"))
                self._agent.restart()
            case _Restart():
                self._agent.restart()
            case _:
                raise AssertionError(action)

    def report(self) -> dict[str, Any]:
        """For /status."""
        looked = self._looked()
        held, published = looked.standing.held, looked.published
        return {
            "url": self._settings.url,
            "bundle_version": None if published is None else published.version,
            "expires": None if published is None else published.expires.astimezone(UTC).isoformat(),
            "held_version": None if held is None else held.version,
            "state": "trying" if looked.standing.trying else "good" if looked.standing.good else "applied",
            "unseen_for_s": round(looked.unseen_for_s, 1),
            "fault": None if looked.fault is None else str(looked.fault),
            "refused": [] if looked.refusal is None else list(looked.refusal.reasons),
            "put_back": [
                {"version": item.version, "sha256": item.sha256, "reason": item.reason}
                for item in looked.standing.rejected
            ],
            "restart_in_s": None if looked.restart_in_s is None else round(looked.restart_in_s, 1),
        }

    def _looked(self) -> Looked:
        now = self._clock.monotonic()
        spec = self._agent.running()
        return Looked(
            standing=self._standing,
            published=self._published,
            fault=self._fault,
            refusal=self._refusal,
            unseen_for_s=now - (self._started_at if self._seen_at is None else self._seen_at),
            up_for_s=now - self._started_at,
            ready_for_s=0.0 if self._ready_since is None else now - self._ready_since,
            patience_s=_PATIENCE_S + (spec.duties.ai.load_timeout_s if spec.duties.ai else 0.0),
            restart_in_s=None if self._restart_at is None else max(0.0, self._restart_at - now),
        )

    async def _take(self, published: Published) -> None:
        try:
            content = await self._blocking.run(self._reader.fetch)
        except PullError as error:
            self._fault = error
            return
        before = self._standing
        sha256 = await self._blocking.run(self._store.keep, content)
        try:
            newer = self._store.load(sha256)
            reasons = refusals(self._agent.running(), newer, Path.exists)
            if not reasons:
                held = Held(published.version, sha256, self._applied(), was_ready=self._agent.is_ready())
                self._remember(trying(before, held))  # on disk before it is taken over
                self._take_over(newer)
                return
        except BadInput as error:
            reasons = (str(error),)
        self._remember(before)
        self._refusal = Refusal(published.sha256, reasons)

    def _take_over(self, newer: NodeSpec) -> None:
        if self._agent.take_live(newer):
            self._restart_at = self._clock.monotonic() + _moment(newer.name) * self._settings.spread_s
        else:
            self._restart_at = None
            self._remember(promoted(self._standing))

    def _remember(self, standing: Standing) -> None:
        self._store.remember(standing)
        self._standing = standing


def pulled_plan(looked: Looked, settings: PullSettings, now: float) -> Plan:
    """What follows from what is known; `now` is unix time. Pure."""
    actions: list[Action] = []
    new = looked.standing.trying
    if looked.restart_in_s is not None:
        if looked.restart_in_s == 0:
            actions.append(_Restart("restart with the pulled settings"))
    elif new is not None and looked.ready_for_s >= PROVEN_AFTER_S:
        actions.append(_Promote("keep the pulled settings: the node is ready with them"))
    elif new is not None and new.was_ready and looked.ready_for_s == 0 and looked.up_for_s > looked.patience_s:
        actions.append(_PutBack("put the pulled settings back: the node does not become ready with them"))
    if (published := _wanted(looked)) is not None:
        actions.append(_Take(f"take version {published.version} of the bundle", published))
    every_s = settings.every_s if new is None and looked.restart_in_s is None else _WATCH_EVERY_S
    return Plan(actions, (_condition(looked, settings, now),), Again(every_s))


def _wanted(looked: Looked) -> Published | None:
    """The published slice, where it is a new one that has not been turned down."""
    published, held = looked.published, looked.standing.held
    if published is None or looked.fault is not None or looked.standing.is_rejected(published.sha256):
        return None
    if held is not None and held.sha256 == published.sha256:
        return None
    if looked.refusal is not None and looked.refusal.sha256 == published.sha256:
        return None
    return published


def _condition(looked: Looked, settings: PullSettings, now: float) -> Condition:
    if looked.fault is not None:
        # A bundle that cannot be reached for a moment is no fault of this node; one that is forged is looked at now.
        passing = looked.fault.is_passing and looked.unseen_for_s <= settings.silence_s
        status = Status.UNKNOWN if passing else Status.FALSE
        return _said(status, looked.fault.fault.value, f"{looked.fault}; the node goes on as it is")
    published = looked.published
    if published is None:
        return _said(Status.UNKNOWN, "NotSeen", f"{settings.url} has not been looked at yet")
    if (lost := _rejection(looked.standing, published)) is not None:
        text = f"version {lost.version} was put back: {lost.reason}; publish settings that come up"
        return _said(Status.FALSE, "PutBack", text)
    if looked.refusal is not None and looked.refusal.sha256 == published.sha256:
        return _said(Status.FALSE, "Refused", f"version {published.version}: {'; '.join(looked.refusal.reasons)}")
    if looked.restart_in_s is not None:
        text = f"version {published.version} needs a restart, in {looked.restart_in_s:.0f} s"
        return _said(Status.TRUE, "Waiting", text)
    until = published.expires.astimezone(UTC)
    left_days = (until - datetime.fromtimestamp(now, UTC)).days
    text = f"version {published.version} of the bundle, signed until {until:%Y-%m-%d} ({left_days} days)"
    return _said(Status.TRUE, "Current" if looked.standing.trying is None else "Proving", text)


def _rejection(standing: Standing, published: Published) -> Rejected | None:
    return next((item for item in standing.rejected if item.sha256 == published.sha256), None)


def _moment(host: str) -> float:
    """A part of 1 that differs by host and is always the same for one."""
    return int.from_bytes(hashlib.sha256(host.encode()).digest()[:4]) / 2**32


def _said(status: Status, reason: str, message: str) -> Condition:
    return Condition("PulledSpec", status, reason, message, gates_ready=False)
