"""A real GraphQL endpoint that answers as livepeer/subgraph does, with what a local chain's logs say.

It knows the entities' fields and the arguments that are used here, pages by `id_gt`, and wants a key where one is set.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from aiohttp import web

from livefleet.chain.contracts.rounds_manager import LAST_INITIALIZED_ROUND
from livefleet.chain.logs import LogReader
from livefleet.ledger.events import BOND, REWARD, WINNING_TICKET_REDEEMED

_EVENT = {"id", "timestamp", "round", "transaction", "blockNumber"}
_FIELDS = {
    "delegators": {"id", "bondedAmount", "startRound", "delegate", "principal", "fees"},
    "winningTicketRedeemedEvents": _EVENT | {"sender", "recipient", "faceValue"},
    "rewardEvents": _EVENT | {"delegate", "rewardTokens"},
}
_BY = {"delegators": "delegate", "winningTicketRedeemedEvents": "recipient", "rewardEvents": "delegate"}
_QUERY = re.compile(
    r"query \w+\(\$orchestrator: String!, \$after: String!, \$first: Int!\) \{\s*(\w+)"
    r"\(first: \$first, orderBy: id, where: \{(\w+): \$orchestrator, id_gt: \$after\}\) (\{.*\})\s*\}$",
    re.DOTALL,
)


@dataclass
class Subgraph:
    """The endpoint; the test may spoil what it knows."""

    chain: Any
    key: str | None = None
    page_limit: int = 1000
    url: str = ""
    asked: int = 0
    lies: dict[str, Any] = field(default_factory=dict)  # entity to the rows that it adds

    async def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The document for one query."""
        self.asked += 1
        found = _QUERY.match(query)
        if found is None:
            return {"errors": [{"message": f"cannot parse {query!r}"}]}
        entity, by, fields = found.groups()
        unknown = set(re.findall(r"\w+", fields)) - _FIELDS.get(entity, set())
        if entity not in _FIELDS or by != _BY[entity] or unknown:
            return {"errors": [{"message": f"Type `Query` has no {entity} {by} {sorted(unknown)}"}]}
        rows = [*await getattr(self, f"_{entity}")(variables["orchestrator"]), *self.lies.get(entity, [])]
        rows = sorted((row for row in rows if row["id"] > variables["after"]), key=lambda row: row["id"])
        return {"data": {entity: rows[: min(variables["first"], self.page_limit)]}}

    async def _delegators(self, orchestrator: str) -> list[dict[str, Any]]:
        names = {BOND.decode(log.topics, log.data)[2] for log in await self._logs(BOND, 1, None)}
        found = []
        for name in names:
            entry = await self.chain.client.bonding.delegator(name)
            if entry.delegate_address.lower() == orchestrator:
                found.append({"id": name.lower(), "bondedAmount": str(Decimal(entry.bonded_amount).scaleb(-18))})
        return found

    async def _winningTicketRedeemedEvents(self, orchestrator: str) -> list[dict[str, Any]]:
        return [await self._event(log) for log in await self._logs(WINNING_TICKET_REDEEMED, 2, orchestrator)]

    async def _rewardEvents(self, orchestrator: str) -> list[dict[str, Any]]:
        return [await self._event(log) for log in await self._logs(REWARD, 1, orchestrator)]

    async def _logs(self, event: Any, place: int, who: str | None) -> list[Any]:
        client = self.chain.client
        topics: list[list[bytes]] = [[event.topic], *([[]] * (place - 1))]
        if who is not None:
            topics.append([bytes(12) + bytes.fromhex(who[2:])])
        addresses = [client.bonding.address, client.broker.address]
        last = await client.rpc.block_number()
        return [
            log
            async for _, piece in LogReader(client.rpc).read(addresses=addresses, topics=topics, first=0, last=last)
            for log in piece
        ]

    async def _event(self, log: Any) -> dict[str, Any]:
        rpc, rounds = self.chain.client.rpc, self.chain.client.rounds
        (round_,) = await rpc.read(rounds.read(LAST_INITIALIZED_ROUND), block=log.block_number)
        (block,) = await rpc.batch([("eth_getBlockByNumber", (hex(log.block_number), False))])
        tx = "0x" + log.tx_hash.hex()
        return {
            "id": f"{tx}-{log.log_index}",
            "timestamp": int(block["timestamp"], 16),
            "round": {"id": str(round_)},
            "transaction": {"id": tx, "blockNumber": str(log.block_number)},
        }


@asynccontextmanager
async def a_subgraph(chain: Any, *, key: str | None = None) -> AsyncIterator[Subgraph]:
    """A subgraph of a local chain."""
    subgraph = Subgraph(chain, key)

    async def handle(request: web.Request) -> web.Response:
        if subgraph.key is not None and request.headers.get("Authorization") != f"Bearer {subgraph.key}":
            return web.json_response({"errors": [{"message": "auth error: missing authorization header"}]}, status=401)
        body = await request.json()
        return web.json_response(await subgraph.answer(body["query"], body["variables"]))

    app = web.Application()
    app.router.add_post("/graphql", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        subgraph.url = f"http://127.0.0.1:{runner.addresses[0][1]}/graphql"
        yield subgraph
    finally:
        await runner.cleanup()
