"""The LPT token: what bonding needs of it."""

from livefleet.chain.abi import Function
from livefleet.chain.contracts.contract import Contract
from livefleet.chain.models import Call
from livefleet.kernel import Address

__all__ = ["LivepeerToken"]

BALANCE_OF = Function.parse("balanceOf(address account) returns (uint256)")
ALLOWANCE = Function.parse("allowance(address owner, address spender) returns (uint256)")
APPROVE = Function.parse("approve(address spender, uint256 amount) returns (bool)")


class LivepeerToken(Contract):
    """Balances in LPTU, 10**-18 LPT."""

    async def balance(self, address: Address) -> int:
        """LPTU held by an account."""
        return int(await self.ask(BALANCE_OF, address))

    async def allowance(self, owner: Address, spender: Address) -> int:
        """LPTU that `spender` may take from `owner`."""
        return int(await self.ask(ALLOWANCE, owner, spender))

    def approve_call(self, spender: Address, amount: int) -> Call:
        """Let `spender` take up to `amount`; approve exactly what is bonded."""
        return self.call(APPROVE, spender, amount)
