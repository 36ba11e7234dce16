"""Reads an orchestrator's standing, and a gateway's funds, from the chain."""

import asyncio

from livefleet.chain import ChainClient, SenderInfo
from livefleet.kernel import Address
from livefleet.wire.gateway.selection.models import ChainFacts

__all__ = ["look_up"]


async def look_up(chain: ChainClient, address: Address, gateway: Address | None) -> ChainFacts:
    """All that a gateway's selection depends on. Raises Transient while no endpoint answers."""
    registries = {"video": chain.services} | ({"ai": chain.ai_services} if chain.ai_services is not None else {})
    entry, (registered, active), (stake, pool_size), (current, last, block), uris, sender = await asyncio.gather(
        chain.bonding.transcoder(address),
        asyncio.gather(chain.bonding.is_registered(address), chain.bonding.is_active(address)),
        asyncio.gather(chain.bonding.total_stake(address), chain.bonding.pool_size()),
        asyncio.gather(chain.rounds.current_round(), chain.rounds.last_initialized_round(), chain.rounds.block_num()),
        asyncio.gather(*(registry.service_uri(address) for registry in registries.values())),
        _funds(chain, gateway, address),
    )
    return ChainFacts(
        address=address,
        current_round=current,
        last_initialized_round=last,
        l1_block=block,
        registered=registered,
        active=active,
        activation_round=entry.activation_round,
        deactivation_round=entry.deactivation_round,
        stake=stake,
        pool_size=pool_size,
        registries=dict(zip(registries, uris, strict=True)),
        sender=sender,
    )


async def _funds(chain: ChainClient, gateway: Address | None, claimant: Address) -> SenderInfo | None:
    return None if gateway is None else await chain.broker.sender_info(gateway, claimant)
