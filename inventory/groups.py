"""The fleet as pyinfra's groups. The spec is $LIVEFLEET_SPEC, or fleet.yaml of the current folder."""

import os
from pathlib import Path
from typing import Any

from pyinfra.api.exceptions import InventoryError

from inventory.target import host_data
from livefleet.kernel import LivefleetError
from livefleet.spec import Fleet, load_fleet

__all__ = ["Group", "fleet", "groups_of", "scratch_folder", "spec_path"]

Group = list[str] | list[tuple[str, dict[str, Any]]]

LOCAL = "@local"


def spec_path() -> Path:
    """Where the fleet is declared."""
    return Path(os.environ.get("LIVEFLEET_SPEC") or "fleet.yaml")


def scratch_folder() -> Path:
    """Where small files for pyinfra may be written."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "livefleet" / "ssh"


def fleet() -> dict[str, Group]:
    """`pyinfra inventory.fleet ...`: group name to hosts; `all` carries the data."""
    try:
        return groups_of(load_fleet(spec_path()), scratch_folder())
    except LivefleetError as error:
        raise InventoryError(f"\n{error}") from error


def groups_of(declared: Fleet, scratch: Path) -> dict[str, Group]:
    """Every host, every group of the spec, every role, and each local host's own name (pyinfra calls it `@local`)."""
    local = [name for name in declared.hosts if declared.host(name).is_local]
    if len(local) > 1:
        raise InventoryError(
            f"pyinfra's command line knows one @local host, the fleet has {', '.join(local)}: use `livefleet apply`"
        )
    called = {name: LOCAL if name in local else name for name in declared.hosts}
    members: dict[str, list[str]] = {}
    for name in declared.hosts:
        own = (name,) if name in local else ()
        for group in dict.fromkeys((declared.node(name).role.value, *declared.host(name).groups, *own)):
            members.setdefault(group, []).append(called[name])
    everything = [(called[name], host_data(declared, name, scratch)) for name in declared.hosts]
    return {**members, "all": everything}
