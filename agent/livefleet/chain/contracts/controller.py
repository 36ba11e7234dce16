"""The Controller: names to addresses, and the pause switch."""

from collections.abc import Sequence

from livefleet.chain.abi import Function
from livefleet.chain.contracts.contract import Contract
from livefleet.chain.signature import keccak256
from livefleet.kernel import Address

__all__ = ["Controller", "contract_id"]

GET_CONTRACT = Function.parse("getContract(bytes32 id) returns (address)")
PAUSED = Function.parse("paused() returns (bool)")


def contract_id(name: str) -> bytes:
    """The id that a name is registered under: keccak256 of its ASCII."""
    return keccak256(name.encode("ascii"))


class Controller(Contract):
    """Where all other addresses are looked up. An unknown name is the zero address, no revert."""

    async def addresses(self, names: Sequence[str]) -> dict[str, Address]:
        """The registered address of each name, zero where there is none."""
        answers = await self.rpc.read_all([self.read(GET_CONTRACT, contract_id(name)) for name in names])
        return {name: address for name, (address,) in zip(names, answers, strict=True)}

    async def paused(self) -> bool:
        """Whether nearly every write reverts with `system is paused`."""
        return bool(await self.ask(PAUSED))
