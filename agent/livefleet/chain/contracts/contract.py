"""What every typed reader is made of."""

from typing import Any

from livefleet.chain.abi import Function
from livefleet.chain.models import Call
from livefleet.chain.rpc import Block, Read, Rpc
from livefleet.kernel import Address, Wei

__all__ = ["Contract"]


class Contract:
    """One contract at one address. Subclasses name its functions."""

    def __init__(self, rpc: Rpc, address: Address) -> None:
        self.rpc = rpc
        self.address = address

    def read(self, function: Function, *args: Any) -> Read:
        """A view call, to be batched with others."""
        return Read(self.address, function, args)

    def call(self, function: Function, *args: Any, value: Wei = Wei(0)) -> Call:
        """A state-changing call, encoded."""
        return Call(to=self.address, data=function.encode(*args), value=value)

    async def ask(self, function: Function, *args: Any, block: Block = "latest") -> Any:
        """The one value that a view returns."""
        (value,) = await self.rpc.read(self.read(function, *args), block=block)
        return value
