"""From a placed model to what its runner is told."""

from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from livefleet.ai.catalogue import Placement, Source
from livefleet.ai.settings import RunnerSettings

__all__ = ["settings_of"]

_BATCH: Final = "BATCH"
"""The optimization flag that says how many jobs of one shape are computed together."""


def settings_of(
    placement: Placement,
    source: Source,
    *,
    request_timeout_s: float,
    cpu_threads: int,
    socket: Path | None = None,
    listen: str | None = None,
    auth_token: SecretStr | None = None,
    parent: int | None = None,
) -> RunnerSettings:
    """All of it. What an entry and the settings call by one name is handed on as it is."""
    entry = placement.entry
    alike = RunnerSettings.model_fields.keys() & type(entry).model_fields.keys()
    given: dict[str, Any] = {name: getattr(entry, name) for name in alike} | {
        "source": source.location,
        "revision": source.revision,
        "controlnet": source.controlnet or entry.controlnet,
        "safety_checker": source.safety_checker or entry.safety_checker,
        "dtype": placement.dtype,
        "device": placement.device,
        "batch": _batch(entry.optimization.get(_BATCH, "1")),
        "request_timeout_s": request_timeout_s,
        "cpu_threads": cpu_threads,
        "socket": socket,
        "listen": listen,
        "auth_token": auth_token,
        "parent": parent,
    }
    return RunnerSettings(**given)


def _batch(flag: str | bool) -> int:
    """A number that cannot be read is none: flags that a pipeline does not know change nothing."""
    return max(1, int(flag)) if isinstance(flag, str) and flag.isdecimal() else 1
