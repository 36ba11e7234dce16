"""Which hosts change together, so that never more are away than may be. Pure."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from livefleet.control.rollout.order import Member
from livefleet.kernel import BadInput
from livefleet.spec import Role, RolloutSettings
from livefleet.spec.rollout import share_of

__all__ = ["Batch", "BatchPlan", "Limits", "plan_batches"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Hosts that change at the same time."""

    hosts: tuple[str, ...]
    role: Role
    canary: bool = False  # after it everything waits


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """What is done in which order, and what cannot be begun."""

    batches: tuple[Batch, ...]
    blocked: Mapping[str, str] = field(default_factory=dict)  # host: why


class Limits:
    """How many hosts may be away, by whatever they have in common."""

    def __init__(self, members: Sequence[Member], settings: RolloutSettings) -> None:
        self._members = {member.name: member for member in members}
        sizes = Counter(scope for member in members for scope in _scopes(member))
        roles = {member.pool: member.role.value for member in members}
        named = settings.max_unavailable_of
        unknown = [name for name in named if name not in {*Role} and name not in {g for m in members for g in m.groups}]
        if unknown:
            raise BadInput(f"rollout.max_unavailable_of: {unknown[0]} is neither a role nor a group that hosts are in")
        self._allowed = {
            pool: share_of(named.get(role, settings.max_unavailable), sizes[pool]) for pool, role in roles.items()
        }
        self._allowed |= {
            f"group {name}": share_of(share, sizes[f"group {name}"])
            for name, share in named.items()
            if name not in {*Role}
        }

    def of(self, host: str) -> tuple[str, ...]:
        """The scopes of the host that are limited."""
        return tuple(scope for scope in _scopes(self._members[host]) if scope in self._allowed)

    def allowed(self, scope: str) -> int:
        """Hosts of it that may be away at once."""
        return self._allowed[scope]


def plan_batches(
    members: Sequence[Member],
    to_do: Collection[str],
    down: Collection[str],
    settings: RolloutSettings,
    *,
    at_once: int = 20,
) -> BatchPlan:
    """Batches of `to_do`, at most `at_once` hosts each.

    `down`: hosts of the whole fleet that do not serve now. They count as away until they have been changed; changing
    one that is down takes nobody away. Raises BadInput where a limit or a canary names nobody.
    """
    limits = Limits(members, settings)
    away = Counter(scope for host in down for scope in limits.of(host))
    plan = _Plan(limits, away, set(down), at_once)
    for tier, canary in _phases(members, to_do, settings):
        plan.add(tier, canary=canary)
    return BatchPlan(tuple(plan.batches), plan.blocked)


def _phases(
    members: Sequence[Member], to_do: Collection[str], settings: RolloutSettings
) -> Iterator[tuple[list[Member], bool]]:
    """Members that go together as far as the order goes, and whether they are canaries."""
    ordered = sorted((member for member in members if member.name in to_do), key=lambda member: member.tier)
    if isinstance(settings.canary, tuple):
        known = {member.name for member in members}
        if missing := [name for name in settings.canary if name not in known]:
            raise BadInput(f"rollout.canary: no host `{missing[0]}` in this fleet")
        first = [member for member in ordered if member.name in settings.canary]
        yield from _by_tier(first, canary=True)
        yield from _by_tier([member for member in ordered if member not in first], canary=False)
        return
    seen: Counter[Role] = Counter()
    for tier, _ in _by_tier(ordered, canary=False):
        canaries: list[Member] = []
        for member in tier:
            if seen[member.role] < settings.canary:
                seen[member.role] += 1
                canaries.append(member)
        yield canaries, True
        yield [member for member in tier if member not in canaries], False


def _by_tier(ordered: Sequence[Member], *, canary: bool) -> Iterator[tuple[list[Member], bool]]:
    for tier in dict.fromkeys((member.tier, member.role) for member in ordered):
        yield [member for member in ordered if (member.tier, member.role) == tier], canary


class _Plan:
    """Batches so far, and who is away while the next one changes."""

    def __init__(self, limits: Limits, away: Counter[str], down: set[str], at_once: int) -> None:
        self.batches: list[Batch] = []
        self.blocked: dict[str, str] = {}
        self._limits = limits
        self._away = away
        self._down = down
        self._at_once = at_once

    def add(self, members: Sequence[Member], *, canary: bool) -> None:
        """Those that are down already come first: that takes nobody away and gives room to the others."""
        left = sorted(members, key=lambda member: member.name not in self._down)
        while left:
            batch = self._next(left)
            if not batch:
                self.blocked |= {member.name: self._why(member.name) for member in left}
                return
            self.batches.append(Batch(tuple(m.name for m in batch), batch[0].role, canary))
            left = [member for member in left if member not in batch]
            for member in batch:
                if member.name in self._down:
                    self._down.discard(member.name)
                    self._away.subtract(self._limits.of(member.name))

    def _next(self, left: Sequence[Member]) -> list[Member]:
        taken: Counter[str] = Counter()
        batch: list[Member] = []
        for member in left:
            scopes = self._limits.of(member.name)
            is_down = member.name in self._down
            if not is_down and any(self._away[s] + taken[s] >= self._limits.allowed(s) for s in scopes):
                continue
            batch.append(member)
            if not is_down:
                taken.update(scopes)
            if len(batch) == self._at_once:
                break
        return batch

    def _why(self, host: str) -> str:
        full = next(s for s in self._limits.of(host) if self._away[s] >= self._limits.allowed(s))
        others = sorted(name for name in self._down if full in self._limits.of(name))
        allowed = self._limits.allowed(full)
        return (
            f"{full}: {allowed} may be away at once, and {', '.join(others)} {'is' if len(others) == 1 else 'are'}"
            " already; repair that first, or allow more by --max-unavailable"
        )


def _scopes(member: Member) -> tuple[str, ...]:
    return (member.pool, *(f"group {name}" for name in member.groups))
