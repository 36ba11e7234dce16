"""Keys and secrets by reference; a value never stands in a spec."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints, model_validator

from livefleet.spec.model import SpecModel
from livefleet.spec.network import EthAddress

__all__ = ["KeyRef", "KeyRole", "NodeKey", "NodeRemoteKey", "RemoteKey", "SecretRef"]

_PLACES: Final = ("file", "env", "host_file", "command")

SignerUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+(/\S*)?$")]
"""An http or https URL."""

PublicKey = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{128}$")]
"""The 64 bytes of an uncompressed secp256k1 public key."""


class KeyRole(StrEnum):
    """What a key is for."""

    IDENTITY = "identity"
    """Signs results to gateways; owns nothing."""

    RECIPIENT = "recipient"
    """Receives tickets: the orchestrator's own address on chain, which its stake is bonded from."""

    REWARD_CALLER = "reward_caller"
    """Calls reward for an orchestrator that has named it (LIP-118); holds ETH for gas."""

    REDEEMER = "redeemer"
    """Sends redemptions; holds ETH for gas."""

    COLD = "cold"
    """Holds stake or savings and signs by hand, on a machine without a network."""


class SecretRef(SpecModel):
    """Where a secret text is. Exactly one of the four."""

    file: str | None = None
    """A file on the operator's machine, relative to the spec; sent to the hosts that need it, mode 0600."""

    env: str | None = None
    """An environment variable of the operator's shell at apply."""

    host_file: str | None = None
    """A file that is already on the host; nothing is sent."""

    command: tuple[str, ...] | None = Field(default=None, min_length=1)
    """A program and its arguments, run on the operator's machine at apply, in the spec's folder and by no shell; what
    it prints is the secret, for example `[pass, show, livepeer/redeemer]`."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "SecretRef":
        if len(self.places) != 1:
            raise ValueError(f"give exactly one of {', '.join(_PLACES)}")
        return self

    @property
    def places(self) -> list[str]:
        """Names of the places that are given."""
        return [name for name in _PLACES if getattr(self, name) is not None]


class RemoteKey(SpecModel):
    """A key at a signing service that speaks Web3Signer's eth1 API: it never comes to a host of the fleet."""

    url: SignerUrl
    """Base URL of the service as the host reaches it, for example `https://signer.internal:9000`."""

    identifier: PublicKey | None = None
    """The service's name for the key: its public key, 0x and 128 hex digits. None: the one among the service's public
    keys that has the key's `address`."""

    tls_ca: SecretRef | None = None
    """PEM of the authorities that the service's certificate may come from. None: those of the host."""

    client_certificate: SecretRef | None = None
    """PEM of the host's own certificate, for a service that asks for one."""

    client_key: SecretRef | None = None
    """PEM of that certificate's private key. None: it stands in `client_certificate` as well."""

    token: SecretRef | None = None
    """Sent as `Authorization: Bearer`, for a proxy before the service: Web3Signer itself knows no tokens."""

    timeout_s: float = Field(default=5.0, gt=0)
    """How long one answer may take."""

    @model_validator(mode="after")
    def _certificates_fit(self) -> "RemoteKey":
        if self.url.startswith("http:") and (self.tls_ca is not None or self.client_certificate is not None):
            raise ValueError("certificates are given, and the URL is http: write https, or take them away")
        if self.client_key is not None and self.client_certificate is None:
            raise ValueError("`client_key` goes with `client_certificate`")
        return self


class KeyRef(SecretRef):
    """Where an Ethereum key is.

    A V3 keystore JSON or 64 hex digits in one of the places of a secret, a signing service (`remote`), or, for a key
    that no host has, nowhere: then only its `address` is said.
    """

    remote: RemoteKey | None = None
    """A signing service that holds the key. Needs `address`, which every signature is checked against."""

    address: EthAddress | None = None
    """The address that the key must have; checked when it is loaded. None: whatever it is."""

    password: SecretRef | None = None
    """The passphrase of a V3 keystore. None for a plain hex key."""

    roles: tuple[KeyRole, ...] | None = None
    """What the key is for: `identity`, `recipient`, `reward_caller`, `redeemer`, `cold`. No host gets a `cold` key.
    None: whatever it is used for."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "KeyRef":
        places = [*self.places, *(["remote"] if self.remote is not None else [])]
        if len(places) > 1 or (not places and self.address is None):
            text = ", ".join((*_PLACES, "remote"))
            raise ValueError(f"give exactly one of {text}, or only the `address` of a key that no host has")
        if self.remote is not None and self.address is None:
            raise ValueError("a remote key needs `address`: signatures are checked against it")
        if self.password is not None and not self.places:
            raise ValueError("`password` opens a keystore, and this key is in none")
        return self

    @property
    def is_nowhere(self) -> bool:
        """Whether no host can get it."""
        return not self.places and self.remote is None


class NodeRemoteKey(SpecModel):
    """A signing service as the node sees it: its secrets are files on the host."""

    url: SignerUrl
    """Base URL of the service."""

    identifier: PublicKey | None = None
    """The service's name for the key. None: found by the key's address."""

    tls_ca_file: str | None = None
    """Path of the authorities' PEM; relative paths start at the node's state folder."""

    client_certificate_file: str | None = None
    """Path of the node's own certificate, likewise."""

    client_key_file: str | None = None
    """Path of its private key, likewise."""

    token_file: str | None = None
    """Path of the bearer token, likewise."""

    timeout_s: float = Field(default=5.0, gt=0)
    """How long one answer may take."""

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of all files that it names."""
        named = (self.tls_ca_file, self.client_certificate_file, self.client_key_file, self.token_file)
        return tuple(path for path in named if path is not None)


class NodeKey(SpecModel):
    """A key as the node sees it: files on the host, or a signing service."""

    file: str | None = None
    """Path on the host; relative paths start at the node's state folder."""

    remote: NodeRemoteKey | None = None
    """The signing service that holds it instead."""

    password_file: str | None = None
    """Path of the passphrase file, likewise."""

    address: EthAddress | None = None
    """Checked against the loaded key when given, and against every signature of a remote one."""

    roles: tuple[KeyRole, ...] | None = None
    """What it is for; a `cold` key is refused. None: whatever it is used for."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "NodeKey":
        if (self.file is None) == (self.remote is None):
            raise ValueError("give exactly one of file, remote")
        if self.remote is not None and self.address is None:
            raise ValueError("a remote key needs `address`: signatures are checked against it")
        return self

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of all files that it names."""
        own = (path for path in (self.file, self.password_file) if path is not None)
        return (*own, *(self.remote.files if self.remote is not None else ()))
