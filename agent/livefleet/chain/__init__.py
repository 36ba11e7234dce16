"""Everything that speaks to an Ethereum node, and the signatures that the protocol is made of."""

from livefleet.chain.account import LocalSigner, Signer, load_key
from livefleet.chain.signature import checksum_address, keccak256, personal_hash, recover_address, sign_hash, verify

__all__ = [
    "LocalSigner",
    "Signer",
    "checksum_address",
    "keccak256",
    "load_key",
    "personal_hash",
    "recover_address",
    "sign_hash",
    "verify",
]
