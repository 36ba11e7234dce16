"""Amazon S3, and what speaks its language."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from livefleet.wire.storage.models import StorageKind, StoreGrant
from livefleet.wire.storage.policy import policy_document, sign_for_s3

__all__ = ["S3Store", "aws_host"]


@dataclass(frozen=True, slots=True)
class S3Store:
    """A bucket whose key is ours. Only policies are made with it; every upload, our own too, goes by one."""

    host: str  # URL with the bucket in it
    bucket: str
    region: str
    prefix: str  # of every key; empty or without slashes at its ends
    access_key: str
    secret_key: str = field(repr=False)

    def grant(self, folder: str, now: float, life_s: float) -> StoreGrant:
        """The right to upload below `folder` for `life_s` seconds from `now` (unix seconds)."""
        moment = datetime.fromtimestamp(now, UTC)
        day, date = moment.strftime("%Y%m%d"), moment.strftime("%Y%m%dT%H%M%SZ")
        credential = f"{self.access_key}/{day}/{self.region}/s3/aws4_request"
        key = f"{self.prefix}/{folder}" if self.prefix else folder
        policy = policy_document(
            self.bucket,
            f"{key}/",
            now + life_s,
            {"x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-credential": credential, "x-amz-date": date},
        )
        signature = sign_for_s3(policy, self.secret_key, day, self.region)
        return StoreGrant(StorageKind.S3, self.host, key, policy, signature, credential, date)


def aws_host(bucket: str, region: str) -> str:
    """Amazon's URL of a bucket. One with dots in its name fits no wildcard certificate and stands in the path."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    if "." in bucket:
        return f"https://s3.{region}.{suffix}/{bucket}"
    return f"https://{bucket}.s3.{region}.{suffix}"
