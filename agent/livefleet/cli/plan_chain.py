"""The chain's part of a plan: what `livefleet chain plan` computes, for each host on its own."""

import asyncio
from collections.abc import Sequence
from typing import Final

from livefleet.control import ChainPart, HostChain
from livefleet.kernel import LivefleetError
from livefleet.spec import Fleet

__all__ = ["chain_part"]

_PATIENCE_S: Final = 90.0  # for one host; several endpoints may have to fail first
_AT_ONCE: Final = 8


def chain_part(fleet: Fleet, hosts: Sequence[str]) -> ChainPart:
    """Read the chain for those of the hosts that declare something there. What cannot be read says so."""
    names = [name for name in fleet.hosts if name in hosts and fleet.node(name).on_chain is not None]
    if not names:
        return ChainPart()
    return ChainPart(hosts=tuple(asyncio.run(_all(fleet, names))))


async def _all(fleet: Fleet, names: Sequence[str]) -> list[HostChain]:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str) -> HostChain:
        async with turns:
            return await _host(fleet, name)

    return await asyncio.gather(*(one(name) for name in names))


async def _host(fleet: Fleet, name: str) -> HostChain:
    from livefleet.cli.chain.declared import plan_host
    from livefleet.cli.chain.plan import plan_document

    try:
        async with asyncio.timeout(_PATIENCE_S):
            plan = await plan_host(name, fleet.node(name))
    except TimeoutError:
        return HostChain(host=name, reason=f"the chain did not answer within {_PATIENCE_S:g} s")
    except LivefleetError as error:
        return HostChain(host=name, reason=str(error))
    return HostChain.model_validate(plan_document(plan))
