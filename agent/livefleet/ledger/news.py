"""What the protocol, governance and delegators did to an orchestrator: kept as news, the grave ones as alarms.

Read in one batch a round from the block that was read last, which is on disk: a restart misses nothing and tells
nothing twice.
"""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, assert_never

from livefleet.chain import ChainClient
from livefleet.chain.abi import Event
from livefleet.chain.logs import Log, LogReader
from livefleet.kernel import Address
from livefleet.kernel.durable_file import write_durably
from livefleet.ledger.amounts import coins
from livefleet.ledger.delegators import stake_moves
from livefleet.ledger.events import BOND, REBOND, SLASHED, UNBOND
from livefleet.ledger.parameters import changes, read_parameters

__all__ = ["News", "NewsItem", "NewsKind", "NewsWatch", "log_news"]

log = logging.getLogger(__name__)

ACTIVATED = Event.parse("TranscoderActivated(address indexed transcoder, uint256 activationRound)")
DEACTIVATED = Event.parse("TranscoderDeactivated(address indexed transcoder, uint256 deactivationRound)")
CUTS_SET = Event.parse("TranscoderUpdate(address indexed transcoder, uint256 rewardCut, uint256 feeShare)")
REWARD_CALLER_SET = Event.parse("RewardCallerSet(address indexed transcoder, address indexed rewardCaller)")
SERVICE_URI_SET = Event.parse("ServiceURIUpdate(address indexed addr, string serviceURI)")

_KEPT = 20
_UNIT = 10**18
_CATCH_UP_BLOCKS = 3_000_000  # a week or more of Arbitrum's; older news is none


class NewsKind(StrEnum):
    """What happened."""

    SLASHED = "slashed"
    DEACTIVATED = "deactivated"
    ACTIVATED = "activated"
    STAKE_MOVED = "stake-moved"
    CUTS_SET = "cuts-set"
    REWARD_CALLER_SET = "reward-caller-set"
    SERVICE_URI_SET = "service-uri-set"
    PARAMETER_CHANGED = "parameter-changed"

    @property
    def is_alarm(self) -> bool:
        """Whether somebody has to act."""
        return self in (NewsKind.SLASHED, NewsKind.DEACTIVATED)


@dataclass(frozen=True, slots=True)
class NewsItem:
    """One event, in words."""

    kind: NewsKind
    text: str
    block: int  # L2
    at: float  # unix seconds of the look that found it


@dataclass(frozen=True, slots=True)
class News:
    """The last items, the latest last, and how far was read."""

    block: int
    parameters: Mapping[str, int]
    items: tuple[NewsItem, ...]

    def alarms(self, now: float, *, for_s: float = 86_400.0) -> tuple[NewsItem, ...]:
        """Grave items of the last day."""
        return tuple(item for item in self.items if item.kind.is_alarm and now - item.at < for_s)


class NewsWatch:
    """Reads the news of one orchestrator and keeps them in a file."""

    def __init__(self, client: ChainClient, orchestrator: Address, path: Path, *, stake_move_lpt: int) -> None:
        self._client = client
        self._orchestrator = orchestrator
        self._path = path
        self._least = stake_move_lpt * _UNIT
        self._reader = LogReader(client.rpc)

    async def read(self, block: int, now: float) -> News:
        """The news up to `block`. Raises Transient; then what was missed comes with the next look."""
        before = _load(self._path)
        parameters = await read_parameters(self._client, block)
        if before is None:
            return await self._keep(News(block, parameters, ()))
        found = [
            NewsItem(NewsKind.PARAMETER_CHANGED, str(change), block, now)
            for change in changes(before.parameters, parameters)
        ]
        if block > before.block:
            first = max(before.block + 1, block - _CATCH_UP_BLOCKS)
            logs = await self._logs(first, block)
            found += log_news(logs, self._orchestrator, least=self._least, now=now)
        for item in found:
            level = logging.ERROR if item.kind.is_alarm else logging.WARNING
            log.log(level, "chain.news", extra={"kind": item.kind.value, "text": item.text, "block": item.block})
        items = (*before.items, *found)[-_KEPT:]
        return await self._keep(News(max(block, before.block), dict(before.parameters) | parameters, items))

    async def _logs(self, first: int, last: int) -> list[Log]:
        us = bytes(12) + bytes.fromhex(self._orchestrator[2:])
        events = (BOND, UNBOND, REBOND, SLASHED, ACTIVATED, DEACTIVATED, CUTS_SET, REWARD_CALLER_SET, SERVICE_URI_SET)
        contracts = [self._client.bonding.address, self._client.services.address]
        found: dict[tuple[int, int], Log] = {}
        for topics in ([[event.topic for event in events], [us]], [[BOND.topic], [], [us]]):
            async for _, piece in self._reader.read(addresses=contracts, topics=topics, first=first, last=last):
                found |= {(entry.block_number, entry.log_index): entry for entry in piece}
        return [found[place] for place in sorted(found)]

    async def _keep(self, news: News) -> News:
        """A file that is lost begins anew, and what happened meanwhile would never be told."""
        await asyncio.to_thread(write_durably, self._path, json.dumps(asdict(news)).encode())
        return news


def log_news(logs: Sequence[Log], orchestrator: Address, *, least: int, now: float) -> list[NewsItem]:
    """The items in logs, in chain order; stake moves below `least` LPTU are none. Pure."""
    found = [
        NewsItem(
            NewsKind.STAKE_MOVED, f"{move.delegator} {_MOVES[move.what]} {coins(abs(move.amount))} LPT", move.block, now
        )
        for move in stake_moves(logs, orchestrator)
        if abs(move.amount) >= least and move.delegator != orchestrator
    ]
    found += [replace(item, at=now) for entry in logs if (item := _item(entry)) is not None]
    return sorted(found, key=lambda item: item.block)


_MOVES = {"bond": "bonded", "unbond": "unbonded", "rebond": "bonded again", "left": "took elsewhere"}


def _item(entry: Log) -> NewsItem | None:
    for event, kind in _KINDS:
        if event.matches(entry.topics):
            return NewsItem(kind, _words(kind, event.decode(entry.topics, entry.data)), entry.block_number, 0.0)
    return None


_KINDS = (
    (SLASHED, NewsKind.SLASHED),
    (DEACTIVATED, NewsKind.DEACTIVATED),
    (ACTIVATED, NewsKind.ACTIVATED),
    (CUTS_SET, NewsKind.CUTS_SET),
    (REWARD_CALLER_SET, NewsKind.REWARD_CALLER_SET),
    (SERVICE_URI_SET, NewsKind.SERVICE_URI_SET),
)


def _words(kind: NewsKind, values: tuple[Any, ...]) -> str:
    match kind:
        case NewsKind.SLASHED:
            return f"slashed by {coins(values[2])} LPT, reported by {values[1]}"
        case NewsKind.DEACTIVATED:
            return f"out of the active set from round {values[1]} on"
        case NewsKind.ACTIVATED:
            return f"in the active set from round {values[1]} on"
        case NewsKind.CUTS_SET:
            return f"cuts set: {values[1] / 10_000:g} % of rewards kept, {values[2] / 10_000:g} % of fees to delegators"
        case NewsKind.REWARD_CALLER_SET:
            return f"reward caller set to {values[1]}"
        case NewsKind.SERVICE_URI_SET:
            return f"service URI set to {values[1]}"
        case NewsKind.STAKE_MOVED | NewsKind.PARAMETER_CHANGED:
            raise AssertionError(f"{kind} is told elsewhere")
        case _:
            assert_never(kind)


def _load(path: Path) -> News | None:
    """What was kept; None where nothing was, or what is there cannot be read."""
    try:
        raw: dict[str, Any] = json.loads(path.read_text())
        items = tuple(
            NewsItem(NewsKind(item["kind"]), item["text"], item["block"], item["at"]) for item in raw["items"]
        )
        return News(int(raw["block"]), {name: int(value) for name, value in raw["parameters"].items()}, items)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("chain.news_forgotten", extra={"path": str(path), "error": str(error)})
        return None
