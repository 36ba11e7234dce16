"""How a change goes over the fleet: how many hosts at once, who is first, and what proves that it may go on."""

import re
from collections.abc import Collection, Iterator
from typing import Annotated, Final

from pydantic import AfterValidator, Field, WithJsonSchema

from livefleet.spec.model import SpecModel
from livefleet.spec.problem import did_you_mean
from livefleet.spec.roles import Role

__all__ = ["RolloutSettings", "Share", "parse_share", "rollout_faults", "share_of"]

_PERCENT: Final = re.compile(r"(100|[1-9][0-9]?)%\Z")


def parse_share(value: int | str) -> int | str:
    """A count from 1 on, or a percentage. Raises ValueError."""
    if isinstance(value, str) and not value.isdecimal():
        if _PERCENT.match(value) is None:
            raise ValueError(f"{value!r} is neither a count (from 1 on) nor a percentage from 1% to 100%")
        return value
    if int(value) < 1:
        raise ValueError("at least 1, or nothing could ever be changed")
    return int(value)


def share_of(value: int | str, whole: int) -> int:
    """The count that it comes to among `whole`; a percentage is rounded down, yet is at least 1."""
    if isinstance(value, int):
        return value
    return max(1, whole * int(value.removesuffix("%")) // 100)


Share = Annotated[
    int | str,
    AfterValidator(parse_share),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": r"^(100|[1-9][0-9]?)%$"}]}
    ),
]
"""A count of hosts, or a percentage such as `25%`."""


class RolloutSettings(SpecModel):
    """What `livefleet rollout` goes by. Stays on the operator's side."""

    max_unavailable: Share = 1
    """Hosts that may be out of service at once among those that stand in for one another: the workers of one
    orchestrator, the orchestrators, the redeemers. A percentage counts all of them, not only those that change."""

    max_unavailable_of: dict[str, Share] = {}
    """The same by name of a role, in place of `max_unavailable`, or of a group, in addition to it: a rack, a site."""

    canary: Annotated[int, Field(ge=0)] | tuple[str, ...] = 1
    """Who is first: so many hosts of each role before its others, or the named hosts before all others. 0: nobody."""

    bake_s: float = Field(default=60.0, ge=0)
    """Seconds that canaries serve before they are looked at again and others follow."""

    drain_s: float = Field(default=600.0, ge=0)
    """Seconds that running streams are given before a host is restarted. 0: none."""

    smoke: bool = True
    """Whether a paid job must succeed on each changed host that serves gateways, where a paying key is declared."""


def rollout_faults(
    settings: RolloutSettings, hosts: Collection[str], groups: Collection[str]
) -> Iterator[tuple[str, str, str]]:
    """What does not hold between the settings and the fleet: field, message, hint. Pure."""
    for name in settings.canary if isinstance(settings.canary, tuple) else ():
        if name not in hosts:
            yield "canary", f"no host `{name}`", did_you_mean(name, hosts)
    known = [*(role.value for role in Role), *groups]
    for name in settings.max_unavailable_of:
        if name not in known:
            yield "max_unavailable_of", f"`{name}` is neither a role nor a group", did_you_mean(name, known)
