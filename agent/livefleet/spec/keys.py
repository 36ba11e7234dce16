"""Keys and secrets by reference; a value never stands in a spec."""

from pydantic import model_validator

from livefleet.spec.model import SpecModel
from livefleet.spec.network import EthAddress

__all__ = ["KeyRef", "NodeKey", "SecretRef"]


class SecretRef(SpecModel):
    """Where a secret text is. Exactly one of the three."""

    file: str | None = None
    """A file on the operator's machine, relative to the spec; sent to the hosts that need it, mode 0600."""

    env: str | None = None
    """An environment variable of the operator's shell at apply."""

    host_file: str | None = None
    """A file that is already on the host; nothing is sent."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "SecretRef":
        if sum(v is not None for v in (self.file, self.env, self.host_file)) != 1:
            raise ValueError("give exactly one of file, env, host_file")
        return self


class KeyRef(SecretRef):
    """Where an Ethereum key is: a V3 keystore JSON or 64 hex digits."""

    address: EthAddress | None = None
    """The address that the key must have; checked when it is loaded. None: whatever it is."""

    password: SecretRef | None = None
    """The passphrase of a V3 keystore. None for a plain hex key."""


class NodeKey(SpecModel):
    """A key as the node sees it: files on the host."""

    file: str
    """Path on the host; relative paths start at the node's state folder."""

    password_file: str | None = None
    """Path of the passphrase file, likewise."""

    address: EthAddress | None = None
    """Checked against the loaded key when given."""
