import pytest

from livefleet.wire.messages import SegmentOutcome, StoredRendition
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.segment import SegmentCredentials
from livefleet.wire.storage import StorageKind, StoreGrant
from livefleet.wire.translate import (
    info_from_proto,
    outcome_from_proto,
    outcome_to_proto,
    segment_from_proto,
    segment_to_proto,
    storage_from_proto,
    storage_to_proto,
)

pytestmark = pytest.mark.unit

S3 = StoreGrant(StorageKind.S3, "https://b.s3.amazonaws.com", "m/s", "cG9saWN5", "abc", "id/20251124/r/s3/aws4_request",
                "20251124T000000Z")  # fmt: skip
GOOGLE = StoreGrant(StorageKind.GOOGLE, "https://b.storage.googleapis.com", "s", "cG9saWN5", "c2ln", "a@b")


@pytest.mark.parametrize("grant", [S3, GOOGLE], ids=["s3", "google"])
def test_storage__there_and_back__is_the_same(grant):
    assert storage_from_proto(pb.OSInfo.FromString(storage_to_proto(grant).SerializeToString())) == grant


def test_storage__fields__are_the_protocols():
    message = storage_to_proto(S3)
    assert (message.storageType, message.s3info.host, message.s3info.key) == (pb.OSInfo.S3, S3.host, "m/s")
    assert (message.s3info.credential, message.s3info.xAmzDate) == (S3.credential, S3.amz_date)
    assert storage_to_proto(GOOGLE).storageType == pb.OSInfo.GOOGLE


@pytest.mark.parametrize(
    "message",
    [
        pb.OSInfo(storageType=pb.OSInfo.DIRECT, s3info=pb.S3OSInfo(host="https://h/b")),
        pb.OSInfo(storageType=pb.OSInfo.S3),
        pb.OSInfo(storageType=pb.OSInfo.S3, s3info=pb.S3OSInfo(host="gopher://h/b")),
        pb.OSInfo(storageType=pb.OSInfo.GOOGLE, s3info=pb.S3OSInfo()),
        pb.OSInfo(storageType=9, s3info=pb.S3OSInfo(host="https://h/b")),
    ],
    ids=["direct", "without info", "no http", "without host", "unknown"],
)
def test_storage__nothing_to_upload_to__reads_as_none(message):
    assert storage_from_proto(message) is None


def test_credentials__first_store_counts():
    sent = segment_to_proto(SegmentCredentials(storage=S3))
    assert segment_from_proto(sent).storage == S3
    sent.storage.append(storage_to_proto(GOOGLE))
    assert segment_from_proto(sent).storage == S3
    assert segment_from_proto(pb.SegData()).storage is None


def test_info__offered_store__is_read():
    assert info_from_proto(pb.OrchestratorInfo(storage=[storage_to_proto(S3)])).storage == (S3,)


def test_outcome__hash_urls__travel_beside_their_renditions():
    outcome = SegmentOutcome(7, None, renditions=(StoredRendition("u1", 9, "u1.phash"), StoredRendition("u2", 8)))
    assert outcome_from_proto(outcome_to_proto(outcome)) == outcome
