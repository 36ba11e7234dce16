"""Logs of a range of blocks, in pieces as large as the endpoints allow.

Hosted endpoints limit a request by blocks, by logs found or by the answer's size, and each says so in its own words
(`RangeTooLarge`). The reader asks for what worked last, halves when refused and grows again while it is not.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from livefleet.chain.errors import NodeError, RangeTooLarge
from livefleet.chain.rpc import Rpc
from livefleet.chain.signature import checksum_address
from livefleet.kernel import Address

__all__ = ["Log", "LogReader"]

_FIRST_SPAN = 10_000  # blocks; what most endpoints allow
_SPAN_LIMIT = 200_000
_PATIENCE = 16  # pieces that must pass before a length that was refused is tried again


@dataclass(frozen=True, slots=True)
class Log:
    """One event as the chain keeps it. `Event.matches` and `Event.decode` read it."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int  # the node's own (L2) number
    block_hash: bytes
    tx_hash: bytes
    log_index: int  # in its block


class LogReader:
    """Reads logs piece by piece. One may serve many readings: what it learned of the endpoints stays."""

    def __init__(self, rpc: Rpc, *, span: int = _FIRST_SPAN, span_limit: int = _SPAN_LIMIT) -> None:
        self._rpc = rpc
        self._limit = span_limit
        self._span = min(span, span_limit)
        self._refused: int | None = None  # the shortest length that was refused lately
        self._passed = 0  # pieces since

    async def read(
        self, *, addresses: Sequence[Address], topics: Sequence[Sequence[bytes]], first: int, last: int
    ) -> AsyncIterator[tuple[int, list[Log]]]:
        """The logs of blocks `first` to `last`, both included, oldest first: (last block of the piece, its logs).

        `addresses`: of any of these contracts; empty: of all. `topics`: for each position what may stand there; empty:
        anything. A caller that keeps the last block of each piece goes on from there after a crash. Where `last` is
        above the watcher's `safe_block`, what was read may be undone by a reorganisation. Raises Transient, and
        RangeTooLarge where the logs of a single block are more than any endpoint gives.
        """
        start = first
        while start <= last:
            end = min(last, start + self._span - 1)
            try:
                logs = await self._piece(addresses, topics, start, end)
            except RangeTooLarge as error:
                self._shorten(end - start + 1, error.span)
                if start == end:
                    raise
                continue
            yield end, logs
            self._lengthen(end - start + 1)
            start = end + 1

    async def _piece(
        self, addresses: Sequence[Address], topics: Sequence[Sequence[bytes]], first: int, last: int
    ) -> list[Log]:
        query: dict[str, Any] = {"fromBlock": hex(first), "toBlock": hex(last)}
        if addresses:
            query["address"] = list(addresses)
        if topics:
            query["topics"] = [["0x" + topic.hex() for topic in position] or None for position in topics]
        logs = [_log(raw) for raw in await self._rpc.logs(query, last)]
        return sorted(logs, key=lambda log: (log.block_number, log.log_index))

    def _shorten(self, refused: int, advised: int | None) -> None:
        self._passed = 0
        self._refused = refused
        shorter = refused // 2 if advised is None else min(advised, refused - 1)
        self._span = max(1, shorter)

    def _lengthen(self, taken: int) -> None:
        self._passed += 1
        if taken < self._span:
            return
        if self._refused is None:
            self._span = min(self._limit, self._span * 2)
        elif self._passed >= _PATIENCE:
            self._passed, self._refused = 0, None


def _log(raw: Any) -> Log:
    try:
        return Log(
            address=checksum_address(_bytes(raw["address"])),
            topics=tuple(_bytes(topic) for topic in raw["topics"]),
            data=_bytes(raw["data"]),
            block_number=int(raw["blockNumber"], 16),
            block_hash=_bytes(raw["blockHash"]),
            tx_hash=_bytes(raw["transactionHash"]),
            log_index=int(raw["logIndex"], 16),
        )
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise NodeError(f"an answer of eth_getLogs that is no log: {str(raw)[:200]}") from error


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
