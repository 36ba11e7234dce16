"""Secrets that may change while the node serves: read again when a file does, whoever wrote it."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from livefleet.kernel import BadInput, Condition, ConditionBoard, LivefleetError, Status
from livefleet.roles.base import read_secret
from livefleet.spec import NodeSpec, OrchestratorSettings, live_secret_paths
from livefleet.wire import CertificateFiles
from livefleet.wire.server import WorkerSecrets

__all__ = ["CONDITION", "SecretWatch", "certificate_of", "worker_secrets_of"]

log = logging.getLogger(__name__)

CONDITION = "SecretsCurrent"

_LOOK_S = 5.0


def worker_secrets_of(spec: NodeSpec, settings: OrchestratorSettings) -> WorkerSecrets | None:
    """What workers may show. None: no workers are taken. Raises BadInput with what to do."""
    if settings.worker_secret is None:
        return None
    current = read_secret(spec, settings.worker_secret)
    if (before := settings.worker_secret_before) is None:
        return WorkerSecrets(current)
    return WorkerSecrets(current, read_secret(spec, before.secret), before.until.timestamp())


def certificate_of(spec: NodeSpec, settings: OrchestratorSettings) -> CertificateFiles | None:
    """The declared certificate's files. None: the node makes one. Raises BadInput for names that are not declared."""
    if settings.tls is None:
        return None
    try:
        certificate = spec.paths.resolve(spec.secrets[settings.tls.certificate])
        key = certificate if settings.tls.key is None else spec.paths.resolve(spec.secrets[settings.tls.key])
    except KeyError as error:
        raise BadInput(f"node.yaml: the secret {error} is used but not declared under `secrets`") from error
    return CertificateFiles(certificate, key)


class SecretWatch:
    """Calls `changed` when the file of a live secret is another one than before; a fault of it is told on the board."""

    def __init__(
        self,
        spec: Callable[[], NodeSpec],
        changed: Callable[[], None],
        board: ConditionBoard,
        *,
        look_s: float = _LOOK_S,
    ) -> None:
        self._spec = spec
        self._changed = changed
        self._board = board
        self._look_s = look_s
        self._seen = self._signature()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._look_s)
            self.look()

    def look(self) -> None:
        """Once. What could not be taken is tried again when the file changes again, or the next time."""
        seen = self._signature()
        if seen == self._seen:
            return
        try:
            self._changed()
        except LivefleetError as error:
            log.warning("secrets.not_taken", extra={"error": str(error)})
            text = f"the node goes on with what it had: {error}"
            self._board.report(Condition(CONDITION, Status.FALSE, "NotTaken", text, gates_ready=False))
            return
        self._seen = seen
        text = "the node goes by the secrets that its files hold"
        self._board.report(Condition(CONDITION, Status.TRUE, "Taken", text, gates_ready=False))

    def _signature(self) -> tuple[object, ...]:
        spec = self._spec()
        return tuple(_stamp(spec.paths.resolve(path)) for path in sorted(live_secret_paths(spec)))


def _stamp(path: Path) -> tuple[object, ...]:
    try:
        stat = path.stat()
    except OSError as error:
        return (path, error.errno)
    return (path, stat.st_mtime_ns, stat.st_ino, stat.st_size)
