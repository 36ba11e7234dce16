"""Segment credentials: the header `Livepeer-Segment`.

Signed are only the manifest id, the sequence number, the source's hash and the profiles' names.
Source: lp_rpc.proto SegData, go-livepeer core/streamdata.go SegTranscodingMetadata.Flatten.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from livefleet.chain import MessageSigner, keccak256, verify
from livefleet.kernel import SessionId, to_u256
from livefleet.media import Profile
from livefleet.wire.auth import AuthToken
from livefleet.wire.capabilities import Capabilities
from livefleet.wire.storage import StoreGrant

__all__ = ["EMPTY_HASH", "SegmentCredentials", "profile_id", "sign_segment"]

EMPTY_HASH = keccak256(b"")
"""The source's hash in credentials without a source (payments, AI requests)."""


@dataclass(frozen=True, slots=True)
class SegmentCredentials:
    """What a gateway asks for one segment, or for one payment or AI request where there are no profiles."""

    manifest_id: bytes = b""
    sequence: int = 0
    source_hash: bytes = b"\0" * 32  # keccak256 of the source
    profiles: tuple[Profile, ...] = ()
    duration_ms: int = 0
    capabilities: Capabilities | None = None
    auth_token: AuthToken | None = None
    signature: bytes = b""
    clip_from_ms: int | None = None
    clip_to_ms: int | None = None
    force_session_reinit: bool = False
    calc_perceptual_hash: bool = False
    storage: StoreGrant | None = None  # the gateway's own object store, for the results

    @property
    def manifest_key(self) -> SessionId:
        """The manifest id as a key of balances."""
        return SessionId(self.manifest_id.decode(errors="backslashreplace"))

    def flatten(self) -> bytes:
        """The signed content, before hashing."""
        return b"".join(
            (
                self.manifest_id,
                to_u256(abs(self.sequence)),
                self.source_hash,
                profile_ids(self.profiles).encode(),
            )
        )

    def message(self) -> bytes:
        """The 32 bytes that are signed."""
        return keccak256(self.flatten())

    def is_signed_by(self, sender: bytes) -> bool:
        """Whether `sender` (20 bytes) signed these credentials."""
        return verify(sender, self.message(), self.signature)


def sign_segment(credentials: SegmentCredentials, signer: MessageSigner) -> SegmentCredentials:
    """The same credentials with the signer's signature."""
    return replace(credentials, signature=signer.sign_message(credentials.message()))


def profile_id(name: str) -> str:
    """Eight hex characters that stand for a profile's name under a signature."""
    return keccak256(name.encode())[:4].hex()


def profile_ids(profiles: Iterable[Profile]) -> str:
    """The ids of all profiles, joined in order."""
    return "".join(profile_id(profile.name) for profile in profiles)
