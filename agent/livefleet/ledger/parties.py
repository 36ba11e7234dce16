"""Whose books these are, and the contracts that their money stands in."""

from dataclasses import dataclass

from livefleet.chain import ChainClient
from livefleet.kernel import Address

__all__ = ["Contracts", "Parties"]


@dataclass(frozen=True, slots=True)
class Parties:
    """The orchestrator, and every address of ours that holds ETH or LPT: its own and the hot keys'."""

    orchestrator: Address
    wallets: tuple[Address, ...]

    @classmethod
    def of(cls, orchestrator: Address, *keys: Address) -> "Parties":
        """An orchestrator and keys that send for it; the same address may come twice."""
        return cls(orchestrator, tuple(dict.fromkeys((orchestrator, *keys))))


@dataclass(frozen=True, slots=True)
class Contracts:
    """Addresses that logs are told apart by."""

    bonding: Address
    broker: Address
    token: Address
    rounds: Address
    minter: Address

    @classmethod
    def of(cls, client: ChainClient) -> "Contracts":
        """Those that the Controller names."""
        return cls(
            bonding=client.bonding.address,
            broker=client.broker.address,
            token=client.token.address,
            rounds=client.rounds.address,
            minter=client.minter.address,
        )
