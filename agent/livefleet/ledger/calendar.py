"""Times, rounds and hashes of the blocks of one span."""

from collections.abc import Iterable, Sequence

from livefleet.chain import Rpc
from livefleet.chain.logs import Log
from livefleet.chain.rpc import Header
from livefleet.kernel import Round, Transient
from livefleet.ledger.events import NEW_ROUND, Moment
from livefleet.ledger.file import Closing

__all__ = ["Calendar", "read_headers"]


async def read_headers(rpc: Rpc, blocks: Sequence[int]) -> list[Header]:
    """The headers of L2 blocks. Raises Transient."""
    raw = await rpc.batch([("eth_getBlockByNumber", (hex(block), False)) for block in blocks])
    if None in raw:
        raise Transient(f"no endpoint has block {blocks[raw.index(None)]}")
    return [Header.parse(header) for header in raw]


class Calendar:
    """What follows a closing: rounds by the span's NewRound logs, times as they are asked for."""

    def __init__(self, rpc: Rpc, closing: Closing, logs: Iterable[Log]) -> None:
        self._rpc = rpc
        self._times: dict[int, int] = {closing.block: closing.at}
        self._hashes: dict[int, bytes] = {closing.block: closing.hash}
        self._rounds = [(closing.block, closing.round)]
        for entry in logs:
            if NEW_ROUND.matches(entry.topics):
                self._rounds.append((entry.block_number, Round(NEW_ROUND.decode(entry.topics, entry.data)[0])))

    async def learn(self, blocks: Iterable[int]) -> None:
        """Read the headers of blocks. Raises Transient."""
        if missing := sorted(set(blocks) - self._times.keys()):
            headers = await read_headers(self._rpc, missing)
            self._times |= {header.number: header.timestamp for header in headers}
            self._hashes |= {header.number: header.hash for header in headers}

    def at(self, block: int) -> Moment:
        """A block that was learned."""
        round_ = next(round_ for since, round_ in reversed(self._rounds) if since <= block)
        return Moment(block, self._times[block], round_)

    async def moment(self, block: int) -> Moment:
        """Any block of the span. Raises Transient."""
        await self.learn([block])
        return self.at(block)

    def closing(self, block: int) -> Closing:
        """The books' end at a block that was learned."""
        moment = self.at(block)
        return Closing(block, moment.round, moment.at, self._hashes[block])
