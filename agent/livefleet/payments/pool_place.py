"""Where a recipient stands in the pool, as the BondingManager has it."""

from livefleet.chain import ChainClient
from livefleet.chain.contracts.bonding_manager import GET_TRANSCODER, NEXT_IN_POOL, POOL_MAX_SIZE, POOL_SIZE
from livefleet.kernel import ZERO_ADDRESS, Address
from livefleet.payments.departure import PoolPlace

__all__ = ["PoolPlaceReader"]


class PoolPlaceReader:
    """One batch a question."""

    def __init__(self, client: ChainClient, recipient: Address) -> None:
        self._client = client
        self._recipient = recipient

    async def place(self) -> PoolPlace:
        """The recipient's, now. Raises Transient."""
        bonding = self._client.bonding
        transcoder, (size,), (max_size,), (following,) = await self._client.rpc.read_all(
            [
                bonding.read(GET_TRANSCODER, self._recipient),
                bonding.read(POOL_SIZE),
                bonding.read(POOL_MAX_SIZE),
                bonding.read(NEXT_IN_POOL, self._recipient),
            ]
        )
        return PoolPlace(
            activation_round=transcoder[4],
            deactivation_round=transcoder[5],
            is_last_of_full_pool=size >= max_size and following == ZERO_ADDRESS,
        )
