"""Object stores: the right to upload, as OSInfo and S3OSInfo."""

from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.storage import StorageKind, StoreGrant

__all__ = ["storage_from_proto", "storage_to_proto"]

_KINDS: dict[int, StorageKind] = {pb.OSInfo.S3: StorageKind.S3, pb.OSInfo.GOOGLE: StorageKind.GOOGLE}
_TYPES = {StorageKind.S3: pb.OSInfo.S3, StorageKind.GOOGLE: pb.OSInfo.GOOGLE}


def storage_from_proto(message: pb.OSInfo) -> StoreGrant | None:
    """The store; None for direct uploads, unknown kinds, and a store that nothing can be sent to."""
    kind = _KINDS.get(message.storageType)
    if kind is None or not message.HasField("s3info"):
        return None
    info = message.s3info
    try:
        return StoreGrant(kind, info.host, info.key, info.policy, info.signature, info.credential, info.xAmzDate)
    except ValueError:
        return None


def storage_to_proto(grant: StoreGrant) -> pb.OSInfo:
    """For an answer, or for a segment's credentials."""
    return pb.OSInfo(
        storageType=_TYPES[grant.kind],
        s3info=pb.S3OSInfo(
            host=grant.host,
            key=grant.key,
            policy=grant.policy,
            signature=grant.signature,
            credential=grant.credential,
            xAmzDate=grant.amz_date,
        ),
    )
