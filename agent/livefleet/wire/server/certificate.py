"""The front door's certificate while it serves: followed where it comes from, and shown by new connections at once.

nginx reads one file, certificate and key together, at every handshake: a renewal is one rename, no connection that is
open hears of it, and nothing is reloaded. A pair that does not fit is never put there.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from livefleet.kernel import Clock, Condition, ConditionBoard, Status
from livefleet.kernel.durable_file import write_durably
from livefleet.wire.errors import CertificateUnusable
from livefleet.wire.tls import RENEW_BEFORE, CertificateFiles

__all__ = ["CONDITION", "CertificateKeeper"]

log = logging.getLogger(__name__)

CONDITION = "CertificateValid"

_LOOK_S = 5.0
_SOON = timedelta(days=14)  # programs that renew by themselves do so 30 days before the end
_DAY_S = 86400.0
_KEY_BEGINS = b"-----BEGIN"


@dataclass(frozen=True, slots=True)
class _Pair:
    pem: bytes
    begins: datetime
    ends: datetime


class CertificateKeeper:
    """Keeps `pem` (0600) what `files` are, and the condition `CertificateValid`, while entered.

    `renew` is called when the end comes near, for a certificate of the node's own.
    """

    def __init__(
        self,
        files: CertificateFiles,
        pem: Path,
        *,
        clock: Clock,
        board: ConditionBoard,
        renew: Callable[[], object] | None = None,
        look_s: float = _LOOK_S,
    ) -> None:
        self._files = files
        self._pem = pem
        self._clock = clock
        self._board = board
        self._renew = renew
        self._look_s = look_s
        self._seen: tuple[object, ...] = ()
        self._shown: _Pair | None = None
        self._group = asyncio.TaskGroup()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Raises CertificateUnusable: without a certificate there is no door."""
        self._seen = self._signature()
        self._show(_read(self._files))
        self._tell()
        await self._group.__aenter__()
        self._task = self._group.create_task(self._keep_looking(), name="certificate")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
        await self._group.__aexit__(None, None, None)
        self._board.withdraw(CONDITION)

    @property
    def days_left(self) -> float | None:
        """Until the shown certificate ends; below 0 after that. None: none is shown yet."""
        return None if self._shown is None else (self._shown.ends.timestamp() - self._clock.now()) / _DAY_S

    def go_by(self, files: CertificateFiles) -> None:
        """Show these from now on. Raises CertificateUnusable, and nothing has changed."""
        pair = _read(files)
        self._files, self._renew = files, None
        self._seen = self._signature()
        self._show(pair)
        self._tell()

    def look(self) -> None:
        """Take over what has changed, and tell how long the certificate lasts."""
        if self._renew is not None and self._shown is not None and self._shown.ends - self._now() < RENEW_BEFORE:
            self._renew()
        seen = self._signature()
        if seen != self._seen:
            try:
                pair = _read(self._files)
            except CertificateUnusable as error:
                # Two files are renewed one after the other: what does not fit now may fit at the next look.
                log.warning("certificate.not_taken", extra={"error": str(error)})
                self._report(Status.FALSE, "NotTaken", f"{error}; the door goes on with the one {self._until()}")
                return
            self._seen = seen
            self._show(pair)
        self._tell()

    def _show(self, pair: _Pair) -> None:
        if self._shown is None or self._shown.pem != pair.pem:
            write_durably(self._pem, pair.pem)
            log.info("certificate.shown", extra={"file": str(self._files.certificate), "ends": pair.ends.isoformat()})
        self._shown = pair

    def _tell(self) -> None:
        assert self._shown is not None
        now, ends = self._now(), self._shown.ends
        if now >= ends:
            self._report(Status.FALSE, "Expired", f"the certificate of the front door is the one {self._until()}")
        elif ends - now < _SOON:
            text = f"the certificate of the front door is the one {self._until()}, and nobody has renewed it yet"
            self._report(Status.FALSE, "EndsSoon", text)
        elif now < self._shown.begins:
            text = f"the certificate begins at {self._shown.begins:%Y-%m-%d %H:%M} UTC: is the clock right?"
            self._report(Status.FALSE, "NotYetValid", text)
        else:
            self._report(Status.TRUE, "Valid", f"the front door shows the certificate {self._until()}")

    def _until(self) -> str:
        assert self._shown is not None
        return f"from {self._files.certificate} that ends {self._shown.ends:%Y-%m-%d %H:%M} UTC"

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)

    def _signature(self) -> tuple[object, ...]:
        found: list[object] = []
        for path in {self._files.certificate, self._files.key}:
            try:
                stat = path.stat()
            except OSError as error:
                found.append((path, error.errno))
            else:
                found.append((path, stat.st_mtime_ns, stat.st_ino, stat.st_size))
        return tuple(found)

    def _report(self, status: Status, reason: str, message: str) -> None:
        self._board.report(Condition(CONDITION, status, reason, message, gates_ready=False))

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._look_s)
            self.look()


def _read(files: CertificateFiles) -> _Pair:
    """Both files as one, checked against each other. Raises CertificateUnusable with what to do."""
    chain, key = _bytes_of(files.certificate), _bytes_of(files.key)
    try:
        certificate = x509.load_pem_x509_certificates(chain)[0]
    except ValueError as error:
        raise CertificateUnusable(f"{files.certificate} holds no PEM certificate") from error
    try:
        private = serialization.load_pem_private_key(_key_of(key), None)
    except (ValueError, TypeError) as error:
        raise CertificateUnusable(f"{files.key} holds no PEM private key without a passphrase") from error
    if certificate.public_key() != private.public_key():
        raise CertificateUnusable(f"the key in {files.key} is not the one of the certificate in {files.certificate}")
    pem = chain if files.certificate == files.key else b"\n".join((chain.rstrip(), key.lstrip()))
    return _Pair(pem, certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def _key_of(pem: bytes) -> bytes:
    """From where the private key begins: the certificates before it are none of its reader's business."""
    blocks = [_KEY_BEGINS + block for block in pem.split(_KEY_BEGINS)[1:]]
    return next((block for block in blocks if b"PRIVATE KEY" in block.splitlines()[0]), pem)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateUnusable(f"cannot read {path}: {error.strerror}") from error
