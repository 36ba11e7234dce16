"""Which chain the fleet works on, and how to reach it."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from livefleet.spec.checksum import is_checksum_wrong, wrong_checksum
from livefleet.spec.model import SpecModel

__all__ = ["EthAddress", "ListenAddress", "Network", "NetworkName", "RpcEndpoint", "Subgraph"]


def _with_right_checksum(address: str) -> str:
    if is_checksum_wrong(address):
        raise ValueError(wrong_checksum(address))
    return address


EthAddress = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$"), AfterValidator(_with_right_checksum)]
"""A 0x address of 40 hex digits; in both cases only with its checksum right (EIP-55)."""

ListenAddress = Annotated[str, StringConstraints(pattern=r"^[^\s/]+:[0-9]{1,5}$")]
"""`host:port`; an IPv6 host stands in brackets."""

RpcUrl = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
"""An http or https URL."""


class NetworkName(StrEnum):
    """Known networks; `devchain` is a local chain made by `livefleet devchain up`."""

    OFFCHAIN = "offchain"
    ARBITRUM_ONE = "arbitrum-one-mainnet"
    DEVCHAIN = "devchain"


class RpcEndpoint(SpecModel):
    """One JSON-RPC endpoint and what it may be asked."""

    url: RpcUrl
    """http or https. What stands before or after its host is taken for a key and never shown."""

    requests_per_second: float | None = Field(default=None, gt=0)
    """JSON-RPC requests, each of a batch counted; above it the next endpoint is asked. None: no limit."""


class Subgraph(SpecModel):
    """An index of the protocol's history, asked by the operator's commands; no host asks it."""

    url: RpcUrl
    """Where it takes GraphQL: livepeer/subgraph at a gateway of The Graph, or an own one."""

    key: str | None = None
    """Name (under `secrets`) of the API key, sent as a bearer token and to no host. None: it wants none."""


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

    rpc: tuple[RpcUrl | RpcEndpoint, ...] = ()
    """JSON-RPC endpoints (http or https), the preferred first: each a URL, or `url` with what it is limited to.
    Required on-chain. The node asks the first that is well, quick and not behind; give two or more of different
    providers."""

    l1_block_s: float = Field(default=12.0, gt=0)
    """Seconds an L1 block takes; used to say times in words, to choose poll intervals and to be near when a round
    begins."""

    idle_look_s: float | None = Field(default=None, gt=0)
    """Seconds between looks at the chain while no gateway pays and no round is about to begin. None: five L1 blocks, a
    minute at most; on devchain, where requests are free and blocks come when somebody wants them, a second at most."""

    confirmations: int | None = Field(default=None, ge=0)
    """The node's own (L2) blocks that must stand on a block before its logs are counted for good. None: 20 on
    arbitrum-one-mainnet, 0 on devchain, where no block comes unless somebody asks for one."""

    subgraph: Subgraph | None = None
    """History from before the books began, and names of delegators. What it says is read again at the chain. None:
    logs of the endpoints alone."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def endpoints(self) -> tuple[RpcEndpoint, ...]:
        """All of `rpc` in the long form."""
        return tuple(RpcEndpoint(url=each) if isinstance(each, str) else each for each in self.rpc)

    @property
    def safe_depth(self) -> int:
        """`confirmations`, or the network's own."""
        if self.confirmations is not None:
            return self.confirmations
        return 20 if self.name is NetworkName.ARBITRUM_ONE else 0

    @property
    def lease_s(self) -> float:
        """How long what one of several processes holds is kept for it without a word: 30 s, less on a quick chain."""
        return min(30.0, max(5.0, 2.5 * self.l1_block_s))

    @property
    def on_chain(self) -> bool:
        """Whether tickets, signatures and prices are real."""
        return self.name is not NetworkName.OFFCHAIN
