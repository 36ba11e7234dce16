"""Which chain the fleet works on, and how to reach it."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from livefleet.spec.model import SpecModel

__all__ = ["EthAddress", "ListenAddress", "Network", "NetworkName"]

EthAddress = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]
"""A 0x address of 40 hex digits, any case."""

ListenAddress = Annotated[str, StringConstraints(pattern=r"^[^\s/]+:[0-9]{1,5}$")]
"""`host:port`; an IPv6 host stands in brackets."""

RpcUrl = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
"""An http or https URL."""


class NetworkName(StrEnum):
    """Known networks; `devchain` is a local chain made by `livefleet devchain up`."""

    OFFCHAIN = "offchain"
    ARBITRUM_ONE = "arbitrum-one-mainnet"
    DEVCHAIN = "devchain"


class Network(SpecModel):
    """The chain: its name decides the defaults of the rest."""

    name: NetworkName = NetworkName.OFFCHAIN
    """`offchain` pays nothing and checks nothing; the others are on-chain."""

    chain_id: int | None = Field(default=None, gt=0)
    """EIP-155 id; refused at start when the node answers another. None: the network's own (42161 for
    arbitrum-one-mainnet), unchecked on devchain."""

    controller: EthAddress | None = None
    """The protocol's Controller contract, where all other addresses are looked up. None: the network's own; required on
    devchain."""

    rpc: tuple[RpcUrl, ...] = ()
    """JSON-RPC endpoints (http or https), best first. Required on-chain."""

    l1_block_s: float = Field(default=12.0, gt=0)
    """Seconds an L1 block takes; only used to say times in words and to choose poll intervals."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def on_chain(self) -> bool:
        """Whether tickets, signatures and prices are real."""
        return self.name is not NetworkName.OFFCHAIN
