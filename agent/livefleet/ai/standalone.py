"""A runner without an agent, for a go-livepeer worker to use by its URL: `python -m livefleet.ai.standalone < FILE`.

FILE is JSON, for example

    {"model": {"pipeline": "text-to-image", "model_id": "stabilityai/sdxl-turbo"},
     "listen": "0.0.0.0:8000", "auth_token": "a long random text"}

with `model` as in a fleet's YAML. It speaks ai-runner's HTTP API once the model has loaded. The token comes this way
and not as an argument or in the environment, because both can be read by others.
"""

import os
import sys
import time
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError

from livefleet.ai.catalogue import Placement, Source, place, resolve_source
from livefleet.ai.launch import settings_of
from livefleet.ai.process import model_environment
from livefleet.ai.runner import serve
from livefleet.ai.settings import RunnerSettings
from livefleet.hardware import HardwareSnapshot, read_snapshot
from livefleet.kernel import BadInput, ExitCode, LivefleetError
from livefleet.kernel import log as kernel_log
from livefleet.spec import ModelEntry
from livefleet.spec.model import SpecModel

__all__ = ["Standalone", "main", "settled"]


class Standalone(SpecModel, hide_input_in_errors=True):
    """What one runner without an agent is told."""

    model: ModelEntry
    """The model, as in a fleet's YAML. Of its price and warmth a runner knows nothing."""

    listen: str = "127.0.0.1:8000"
    """`HOST:PORT`, an IPv6 address in brackets. It is plain HTTP: beyond the host itself only behind something that
    encrypts."""

    auth_token: SecretStr | None = None
    """What requests for work bring as `Authorization: Bearer`. None: nothing."""

    request_timeout_s: float = Field(default=120.0, gt=0)
    """How long one request may run."""

    cpu_threads: int | None = Field(default=None, ge=1)
    """Threads of one job on a CPU. None: as many as there are cores."""


def main() -> None:
    """Read the settings, load, serve. Exit code 2 for settings that are wrong, 3 for a model that does not load."""
    kernel_log.configure()
    try:
        settings, source = settled(sys.stdin.buffer.read(), read_snapshot(time.time()), os.cpu_count() or 1)
        os.environ.update(model_environment(settings, offline=source.is_folder))
        serve(settings, sys.stderr.fileno())
    except LivefleetError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(ExitCode.BAD_INPUT)


def settled(text: bytes, snapshot: HardwareSnapshot, cores: int) -> tuple[RunnerSettings, Source]:
    """All that a runner has to know, from little. Raises BadInput, or SourceMissing for a folder without weights."""
    try:
        given = Standalone.model_validate_json(text)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors(include_url=False))
        raise BadInput("; ".join(faults)) from error
    placement = _placed(given.model, snapshot)
    source = resolve_source(given.model, Path.cwd())
    settings = settings_of(
        placement,
        source,
        request_timeout_s=given.request_timeout_s,
        cpu_threads=given.cpu_threads or cores,
        listen=given.listen,
        auth_token=given.auth_token,
    )
    return settings, source


def _placed(entry: ModelEntry, snapshot: HardwareSnapshot) -> Placement:
    if entry.url is not None or not entry.is_local:
        raise BadInput("model: a runner loads its model itself; take `url` or `device: workers` away")
    catalogue = place([entry], [gpu.uuid for gpu in snapshot.gpus if gpu.uuid and gpu.fault is None])
    if catalogue.unplaced:
        raise BadInput(catalogue.unplaced[0].message)
    return catalogue.placed[0]


if __name__ == "__main__":
    main()
