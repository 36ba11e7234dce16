"""History from a subgraph: which transactions paid or rewarded an orchestrator, and who delegates to it.

Source: livepeer/subgraph `schema.graphql` (WinningTicketRedeemedEvent, RewardEvent, Delegator). It is an index that
somebody else keeps: it says where to look, and `history.py` reads the amounts at the chain.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from types import TracebackType
from typing import Any, Self

import httpx

from livefleet.chain import checksum_address
from livefleet.kernel import Address, OutsideWorld, Round

__all__ = ["PastEvent", "SubgraphClient", "SubgraphDelegator"]

_PAGE = 1000  # the most that a subgraph gives at once
_PAGES_LIMIT = 200
_TIMEOUT_S = 30.0

DELEGATORS = """query delegators($orchestrator: String!, $after: String!, $first: Int!) {
  delegators(first: $first, orderBy: id, where: {delegate: $orchestrator, id_gt: $after}) { id bondedAmount }
}"""
TICKETS = """query tickets($orchestrator: String!, $after: String!, $first: Int!) {
  winningTicketRedeemedEvents(first: $first, orderBy: id, where: {recipient: $orchestrator, id_gt: $after}) {
    id timestamp round { id } transaction { id blockNumber }
  }
}"""
REWARDS = """query rewards($orchestrator: String!, $after: String!, $first: Int!) {
  rewardEvents(first: $first, orderBy: id, where: {delegate: $orchestrator, id_gt: $after}) {
    id timestamp round { id } transaction { id blockNumber }
  }
}"""


@dataclass(frozen=True, slots=True)
class PastEvent:
    """Where on chain a redemption or a reward stands."""

    tx_hash: bytes
    block: int  # L2
    at: int  # unix seconds
    round: Round


@dataclass(frozen=True, slots=True)
class SubgraphDelegator:
    """A delegator and its bonded LPTU as of its last claim."""

    address: Address
    bonded: int


class SubgraphClient:
    """Asks one subgraph. An async context manager that owns its HTTP connections. Raises OutsideWorld throughout."""

    def __init__(self, url: str, key: str | None = None) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._url = url
        self._http = httpx.AsyncClient(headers=headers, timeout=_TIMEOUT_S)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def delegators(self, orchestrator: Address) -> list[SubgraphDelegator]:
        """All that delegate to an orchestrator, itself among them."""
        return [
            SubgraphDelegator(_address(row["id"]), _units(row["bondedAmount"]))
            async for row in self._rows(DELEGATORS, "delegators", orchestrator)
        ]

    async def past_events(self, orchestrator: Address) -> list[PastEvent]:
        """Each transaction with a redemption for an orchestrator or a reward of it, once, by block."""
        found: dict[bytes, PastEvent] = {}
        for query, name in ((TICKETS, "winningTicketRedeemedEvents"), (REWARDS, "rewardEvents")):
            async for row in self._rows(query, name, orchestrator):
                event = _event(row)
                found[event.tx_hash] = event
        return sorted(found.values(), key=lambda event: event.block)

    async def _rows(self, query: str, name: str, orchestrator: Address) -> AsyncIterator[dict[str, Any]]:
        after = ""
        for _ in range(_PAGES_LIMIT):
            rows = await self._ask(query, name, {"orchestrator": orchestrator.lower(), "after": after, "first": _PAGE})
            for row in rows:
                yield row
            if len(rows) < _PAGE:
                return
            after = rows[-1]["id"]
        raise OutsideWorld(f"the subgraph has more than {_PAGE * _PAGES_LIMIT} {name}; ask for a shorter time")

    async def _ask(self, query: str, name: str, variables: dict[str, Any]) -> list[dict[str, Any]]:
        host = httpx.URL(self._url).host
        try:
            answer = await self._http.post(self._url, json={"query": query, "variables": variables})
            answer.raise_for_status()
            document = answer.json()
        except httpx.HTTPStatusError as error:
            advice = (
                "; its key is wrong or missing: see network.subgraph.key" if answer.status_code in (401, 403) else ""
            )
            raise OutsideWorld(f"the subgraph at {host} answers {answer.status_code}{advice}") from error
        except (httpx.HTTPError, ValueError) as error:
            raise OutsideWorld(f"the subgraph at {host} does not answer: {type(error).__name__} {error}") from error
        rows = (document.get("data") or {}).get(name) if isinstance(document, dict) else None
        if not isinstance(rows, list):
            errors = document.get("errors") if isinstance(document, dict) else None
            words = (
                errors[0].get("message", "") if isinstance(errors, list) and errors else "no answer of the protocol's"
            )
            raise OutsideWorld(f"the subgraph at {host}: {words}")
        return rows


def _event(row: dict[str, Any]) -> PastEvent:
    try:
        return PastEvent(
            tx_hash=bytes.fromhex(row["transaction"]["id"].removeprefix("0x")[:64]),
            block=int(row["transaction"]["blockNumber"]),
            at=int(row["timestamp"]),
            round=Round(int(row["round"]["id"])),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise OutsideWorld(f"the subgraph gave an event that is none: {str(row)[:200]}") from error


def _address(text: str) -> Address:
    try:
        return checksum_address(bytes.fromhex(text.removeprefix("0x")))
    except (AttributeError, ValueError) as error:
        raise OutsideWorld(f"the subgraph gave an address that is none: {text!r}") from error


def _units(text: str) -> int:
    try:
        return int(Decimal(text) * 10**18)
    except (InvalidOperation, TypeError) as error:
        raise OutsideWorld(f"the subgraph gave an amount that is none: {text!r}") from error
