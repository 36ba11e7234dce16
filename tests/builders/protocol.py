"""Calls of the protocol's contracts that only tests make, and the words with which contracts refuse them."""

import re
from typing import Any

import pytest

from livefleet.chain import Call, LogReader, Reverted, Signer
from livefleet.chain.abi import Function
from livefleet.chain.contracts import contract_id
from livefleet.kernel import Address
from tests.builders.chain import VECTORS
from tests.devchain.accounts import DEPLOYER, dev_signer
from tests.devchain.chain import Devchain
from tests.devchain.deploy import SET_CONTRACT_INFO

__all__ = ["KNOWN_REVERTS", "call_of", "logs_of", "name_contract", "refusal", "stake"]


def _word(known: str) -> str:
    """A known answer as `Reverted.reason` has it."""
    custom = re.match(r"CUSTOM \('(0x[0-9a-f]+)'", known)
    if custom is not None:
        return f"custom error {custom[1]}"
    panic = re.match(r"Panic error (0x[0-9a-f]+):", known)
    return f"Panic({panic[1]})" if panic is not None else known.removeprefix("execution reverted: ")


KNOWN_REVERTS = {case: _word(known) for case, known in VECTORS["revertsByCase"].items()}
"""What each bad case answered on the protocol's own contracts, as `Reverted.reason` has it."""


def call_of(address: Address, signature: str, *args: Any, value: int = 0) -> Call:
    """A call by its signature: `unbond(uint256)`."""
    return Call(to=address, data=Function.parse(signature).encode(*args), value=value)


async def refusal(chain: Devchain, call: Call, sender: Signer) -> str:
    """The words with which the contract refuses the call."""
    with pytest.raises(Reverted) as refused:
        await chain.client.rpc.simulate(call, sender.address)
    return refused.value.reason


async def stake(chain: Devchain, signer: Signer, amount: int, to: Address) -> None:
    """Give an account LPTU and bond them."""
    client = chain.client
    await chain.bring_up_to(signer.address, eth=10**18, lpt=amount)
    await chain.sender.send(
        signer, client.token.approve_call(client.bonding.address, amount), client.bonding.bond_call(amount, to)
    )


async def name_contract(chain: Devchain, name: str, address: Address) -> None:
    """Register an address in the Controller."""
    data = SET_CONTRACT_INFO.encode(contract_id(name), address, bytes(20))
    await chain.sender.send(dev_signer(DEPLOYER), Call(to=chain.client.controller.address, data=data))


async def logs_of(chain: Devchain, address: Address) -> list[tuple[tuple[bytes, ...], bytes]]:
    """(topics, data) of everything that a contract ever told."""
    last = await chain.client.rpc.block_number()
    pieces = LogReader(chain.client.rpc).read(addresses=[address], topics=[], first=0, last=last)
    return [(log.topics, log.data) async for _, logs in pieces for log in logs]
