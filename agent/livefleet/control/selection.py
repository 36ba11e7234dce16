"""Which hosts a command is for, said by name, role or group."""

from collections.abc import Iterable
from dataclasses import dataclass

from livefleet.kernel import BadInput
from livefleet.spec import Fleet, Role
from livefleet.spec.problem import did_you_mean

__all__ = ["Selection"]


@dataclass(frozen=True, slots=True)
class Selection:
    """Hosts that are named, and of these the ones with one of the roles and in one of the groups. Nothing said: all."""

    hosts: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    groups: tuple[str, ...] = ()

    def of(self, fleet: Fleet) -> tuple[str, ...]:
        """The hosts, in the fleet's order. Raises BadInput for an unknown host or group, and where none is left."""
        for name in self.hosts:
            fleet.node(name)  # raises with a "did you mean"
        for group in self.groups:
            if group not in fleet.spec.groups:
                raise BadInput(f"{fleet.path}: no group `{group}`; {did_you_mean(group, fleet.spec.groups)}")
        chosen = tuple(name for name in fleet.hosts if self._has(fleet, name))
        if not chosen:
            raise BadInput(f"{fleet.path}: no host is {self._said()}")
        return chosen

    def _has(self, fleet: Fleet, name: str) -> bool:
        return (
            (not self.hosts or name in self.hosts)
            and (not self.roles or fleet.node(name).role in self.roles)
            and (not self.groups or bool({*self.groups} & {*fleet.host(name).groups}))
        )

    def _said(self) -> str:
        def either(words: Iterable[str]) -> str:
            return " or ".join(words)

        parts = [
            either(self.hosts),
            f"of role {either(role.value for role in self.roles)}" if self.roles else "",
            f"in group {either(self.groups)}" if self.groups else "",
        ]
        return " and ".join(part for part in parts if part)
