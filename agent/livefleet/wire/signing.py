"""The 32-byte messages that parties sign; EIP-191 is applied by the signer.

Requests, segments and pings are hashed here once more; ticket hashes and result digests are signed as they are.
"""

from collections.abc import Iterable

from livefleet.chain import checksum_address, keccak256, verify

__all__ = ["ping_message", "request_is_signed", "request_message", "result_message"]


def request_message(address: bytes) -> bytes:
    """What a gateway signs to ask GetOrchestrator: its checksummed address as text."""
    return keccak256(checksum_address(address).encode())


def request_is_signed(address: bytes, signature: bytes) -> bool:
    """Whether the gateway at `address` (its last 20 bytes) signed its request."""
    return verify(address[-20:].rjust(20, b"\0"), request_message(address), signature)


def ping_message(value: bytes) -> bytes:
    """What an orchestrator signs to answer a ping."""
    return keccak256(value)


def result_message(renditions: Iterable[bytes]) -> bytes:
    """What an orchestrator signs over a segment's renditions, in profile order."""
    return keccak256(*(keccak256(rendition) for rendition in renditions))
