"""The chain for those who quote and take payments, which has to go on while no endpoint answers."""

from livefleet.chain.models import ChainHead, SenderInfo
from livefleet.chain.watcher import ChainWatcher
from livefleet.kernel import Address

__all__ = ["Reckoning"]


class Reckoning:
    """What the watcher saw, reckoned on while its looks fail (see `last_look`). Not for redeeming."""

    def __init__(self, watcher: ChainWatcher) -> None:
        self._watcher = watcher

    def head(self) -> ChainHead:
        """The head of now. Raises Transient before the first look, and when the last is too old to be safe."""
        return self._watcher.present()

    async def sender_info(self, sender: Address) -> SenderInfo:
        """A sender's funds as of the last look. Raises Transient."""
        return await self._watcher.sender_info(sender)

    async def is_active(self, address: Address) -> bool:
        """Whether an orchestrator is active, as of the last look. Raises Transient."""
        return await self._watcher.is_active(address)
