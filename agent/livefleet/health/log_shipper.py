"""Ships the agent's own lines to Loki's push API, for hosts where nothing else reads the journal.

A line is written to the spool at once and leaves it when Loki has taken it: at least once, so that a line may come
twice after a crash; Loki keeps one of two equal ones. Source: Loki, "Ingest logs" (`POST /loki/api/v1/push`).
"""

import asyncio
import gzip
import json
import logging
import random
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from livefleet.health.log_spool import LogSpool, SpooledLine
from livefleet.health.metrics import Reading
from livefleet.kernel import Backoff, Condition, ConditionBoard, Status
from livefleet.kernel.log import JsonFormatter
from livefleet.spec import NodeSpec

__all__ = ["LOGS_SHIPPED", "LogShipper", "open_log_shipper"]

LOGS_SHIPPED = "LogsShipped"

_EVERY_S: Final = 2.0
_TIMEOUT_S: Final = 20.0
_METADATA: Final = {"gpu": ("gpu", "device"), "session": ("session",), "job": ("job",), "round": ("round",)}
"""What a line may be found by beside its labels, and the fields of the line that say it."""

_NEVER: Final = frozenset({400, 413, 422})
"""Answers to lines that nobody will ever take, as being too old or too long."""


@dataclass(slots=True)
class _Counts:
    shipped: int = 0
    refused: int = 0


class LogShipper(logging.Handler):
    """A handler of the log, and the duty that empties its spool. `token` is read for each request.

    `labels`: of all lines, few and with few values. `ca`: certificates that the monitor's is checked by; None: the
    system's.
    """

    def __init__(
        self,
        url: str,
        spool: LogSpool,
        board: ConditionBoard,
        *,
        labels: Mapping[str, str],
        token: Path,
        ca: Path | None = None,
        every_s: float = _EVERY_S,
        backoff: Backoff | None = None,
    ) -> None:
        super().__init__()
        self._url = f"{url}/loki/api/v1/push"
        self._spool = spool
        self._board = board
        self._labels = dict(labels)
        self._token = token
        self._ca = ca
        self._every_s = every_s
        self._backoff = backoff or Backoff(first_s=1.0, factor=2.0, cap_s=60.0)
        self._rng = random.Random()
        self._counts = _Counts()
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line; never raises."""
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 -- as logging's own handlers do
            self.handleError(record)
            return
        self._spool.add(SpooledLine(int(record.created * 1e9), record.levelname.lower(), text))

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Hear every line of the process meanwhile."""
        root = logging.getLogger()
        root.addHandler(self)
        try:
            yield
        finally:
            root.removeHandler(self)

    async def run(self) -> None:
        """Ship what waits, until cancelled. What is said after that is shipped by the next start."""
        while True:
            wait_s = await self._ship_all()
            await asyncio.sleep(self._every_s if wait_s is None else wait_s)

    def readings(self) -> list[Reading]:
        """For /metrics."""
        dropped = "livefleet_logs_dropped_total"
        why = "Lines that were not shipped: the buffer was full, or the monitor does not take them."
        return [
            ("livefleet_logs_shipped_total", "counter", "Lines that the monitor took.", {}, self._counts.shipped),
            (dropped, "counter", why, {"because": "full"}, self._spool.dropped),
            (dropped, "counter", why, {"because": "refused"}, self._counts.refused),
            ("livefleet_logs_waiting_bytes", "gauge", "Size of lines that wait.", {}, self._spool.waiting_bytes),
        ]

    async def _ship_all(self) -> float | None:
        """Everything that waits; the seconds to wait where the monitor does not take it now."""
        try:
            client = httpx.AsyncClient(verify=_context(self._ca), timeout=_TIMEOUT_S, trust_env=False)
        except OSError as error:
            return self._later(f"{self._ca}: {error}")
        async with client:
            while (found := await asyncio.to_thread(self._spool.oldest)) is not None:
                path, lines = found
                wait_s = await self._ship(client, lines)
                if wait_s is not None:
                    return wait_s
                await asyncio.to_thread(self._spool.done, path)
        self._backoff.reset()
        return None

    async def _ship(self, client: httpx.AsyncClient, lines: Sequence[SpooledLine]) -> float | None:
        if not lines:
            return None
        try:
            headers = {
                "Authorization": f"Bearer {self._token.read_text().strip()}",
                "Content-Type": "application/json",
                "Content-Encoding": "gzip",
            }
            body = await asyncio.to_thread(_body, self._labels, lines)
            answer = await client.post(self._url, content=body, headers=headers)
        except OSError as error:
            return self._later(f"{self._token}: {error.strerror}")
        except httpx.HTTPError as error:
            return self._later(f"{type(error).__name__}: {error}")
        if answer.is_success:
            self._counts.shipped += len(lines)
            self._report(Status.TRUE, "Shipped", f"lines go to {self._url}")
            return None
        said = f"{answer.status_code} {answer.text[:200]}".strip()
        if answer.status_code in _NEVER:
            self._counts.refused += len(lines)
            self._report(Status.FALSE, "Refused", f"{len(lines)} lines are not taken, ever: {said}")
            return None
        return self._later(said, answer.headers.get("retry-after"))

    def _later(self, why: str, retry_after: str | None = None) -> float:
        self._report(Status.FALSE, "Waiting", f"{self._spool.waiting_bytes} bytes wait for {self._url}: {why}")
        wait_s = self._backoff.next(self._rng)
        asked_s = float(retry_after) if retry_after is not None and retry_after.isdigit() else 0.0
        return max(wait_s, min(asked_s, 600.0))

    def _report(self, status: Status, reason: str, text: str) -> None:
        self._board.report(Condition(LOGS_SHIPPED, status, reason, text, gates_ready=False))


def open_log_shipper(spec: NodeSpec, board: ConditionBoard) -> LogShipper | None:
    """The declared one; None where nobody is to ship, or another program does."""
    push = spec.monitoring.push
    if push is None or push.logs != "agent":
        return None
    spool = LogSpool(spec.paths.state / "logs", push.buffer)
    labels = {"fleet": spec.fleet, "node": spec.name, "role": spec.role.value, "unit": "livefleet.service"}
    token = spec.paths.resolve(spec.secrets[push.token])
    ca = None if push.ca is None else spec.paths.resolve(spec.secrets[push.ca])
    return LogShipper(push.url, spool, board, labels=labels, token=token, ca=ca)


def _context(ca: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=None if ca is None else str(ca))


def _body(labels: Mapping[str, str], lines: Sequence[SpooledLine]) -> bytes:
    """One stream a level: the level is a label, everything else that varies is not."""
    values: dict[str, list[list[Any]]] = {}
    for line in lines:
        metadata = _metadata(line.text)
        value: list[Any] = [str(line.at_ns), line.text, *([metadata] if metadata else [])]
        values.setdefault(line.level, []).append(value)
    streams: list[dict[str, Any]] = [
        {"stream": {**labels, "level": level}, "values": found} for level, found in values.items()
    ]
    return gzip.compress(json.dumps({"streams": streams}, ensure_ascii=False).encode(), compresslevel=5)


def _metadata(text: str) -> dict[str, str]:
    try:
        fields = json.loads(text)
    except ValueError:  # one that was cut
        return {}
    found = {name: next((fields[key] for key in keys if fields.get(key)), None) for name, keys in _METADATA.items()}
    return {name: str(value) for name, value in found.items() if value is not None}
