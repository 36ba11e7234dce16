"""A host that holds keys and does what they are for on the chain: no media, no gateways."""

from pydantic import model_validator

from livefleet.spec.model import SpecModel
from livefleet.spec.network import EthAddress

__all__ = ["KeykeeperKeys", "KeykeeperLayer", "KeykeeperSettings"]


class KeykeeperKeys(SpecModel):
    """Which keys the host has, by name (under `keys`). At least one."""

    orchestrator: str | None = None
    """The orchestrator's own key, which its stake is bonded from. With it the node itself signs what `on_chain`
    declares; without it that becomes proposals."""

    reward_caller: str | None = None
    """A key that the orchestrator has named as its reward caller (LIP-118). None: `orchestrator` calls reward."""

    @model_validator(mode="after")
    def _some(self) -> "KeykeeperKeys":
        if not self.names:
            raise ValueError("give at least one of orchestrator, reward_caller")
        return self

    @property
    def names(self) -> dict[str, str]:
        """The given ones: field to name."""
        fields = ("orchestrator", "reward_caller")
        return {field: name for field in fields if (name := getattr(self, field)) is not None}

    @property
    def rewarding(self) -> str:
        """Name of the key that calls reward."""
        name = self.reward_caller or self.orchestrator
        assert name is not None  # one of them is given
        return name


class KeykeeperLayer(SpecModel):
    """Keeping keys, as far as one layer says."""

    orchestrator: EthAddress | None = None
    """The orchestrator's address on chain, whose rewards, stake and fees it is about."""

    keys: KeykeeperKeys | None = None
    """The keys that this host has."""


class KeykeeperSettings(KeykeeperLayer):
    """Keeping keys."""

    orchestrator: EthAddress
    """The orchestrator's address on chain, whose rewards, stake and fees it is about."""

    keys: KeykeeperKeys
    """The keys that this host has."""
