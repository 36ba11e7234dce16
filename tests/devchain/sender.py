"""Transactions of the test accounts: signed here, mined at once, failing loudly."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from livefleet.chain import Call, Reverted, Rpc, Signer, checksum_address
from livefleet.kernel import Address, OutsideWorld, Wei

__all__ = ["Sender"]

_GAS = 15_000_000  # half a block; nothing here is refunded real money
_MAX_FEE = 100 * 10**9


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends for any test account."""

    rpc: Rpc
    chain_id: int

    async def send(self, signer: Signer, *calls: Call) -> list[dict[str, Any]]:
        """Make the calls in order and return the receipts. Raises Reverted with the contract's reason."""
        return await self._mine(signer, [(call.to, call.data, call.value) for call in calls])

    async def deploy(self, signer: Signer, *codes: bytes) -> list[Address]:
        """Create contracts from bytecode with constructor arguments appended."""
        receipts = await self._mine(signer, [(None, code, Wei(0)) for code in codes])
        return [checksum_address(bytes.fromhex(receipt["contractAddress"][2:])) for receipt in receipts]

    async def _mine(self, signer: Signer, parts: Sequence[tuple[Address | None, bytes, Wei]]) -> list[dict[str, Any]]:
        nonce = int(await self.rpc.request("eth_getTransactionCount", signer.address, "pending"), 16)
        hashes = []
        for offset, (to, data, value) in enumerate(parts):
            fields: dict[str, Any] = {
                "type": 2,
                "chainId": self.chain_id,
                "nonce": nonce + offset,
                "data": data,
                "value": int(value),
                "gas": _GAS,
                "maxFeePerGas": _MAX_FEE,
                "maxPriorityFeePerGas": 0,
            }
            raw = await signer.sign_transaction(fields if to is None else fields | {"to": to})
            hashes.append(await self.rpc.request("eth_sendRawTransaction", "0x" + raw.hex()))
        receipts = await self._receipts(hashes)
        for receipt, (to, data, value) in zip(receipts, parts, strict=True):
            if int(receipt["status"], 16) != 1:
                await self._explain(signer, to, data, value)
        return receipts

    async def _receipts(self, hashes: list[str]) -> list[dict[str, Any]]:
        for _ in range(600):
            found = await self.rpc.batch([("eth_getTransactionReceipt", (tx_hash,)) for tx_hash in hashes])
            if None not in found:
                return found
            await asyncio.sleep(0.05)
        raise OutsideWorld(f"the local chain did not mine {' and '.join(hashes)} in 30 s")

    async def _explain(self, signer: Signer, to: Address | None, data: bytes, value: Wei) -> None:
        if to is not None:
            await self.rpc.simulate(Call(to=to, data=data, value=value), signer.address)
        raise Reverted("the transaction failed, though the same call succeeds now")
