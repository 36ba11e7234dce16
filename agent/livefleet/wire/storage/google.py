"""Google Cloud Storage, by a service account's key."""

import json
from dataclasses import dataclass, field
from typing import Self

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from livefleet.kernel import BadInput
from livefleet.wire.storage.models import StorageKind, StoreGrant
from livefleet.wire.storage.policy import policy_document, sign_for_google

__all__ = ["GoogleStore", "google_host"]


@dataclass(frozen=True, slots=True)
class GoogleStore:
    """A bucket that a service account of ours may write to."""

    host: str  # URL with the bucket in it
    bucket: str
    prefix: str  # of every key; empty or without slashes at its ends
    account: str  # the service account's e-mail address
    key: rsa.RSAPrivateKey = field(repr=False)

    @classmethod
    def of(cls, bucket: str, prefix: str, key_file: str) -> Self:
        """From the text of a service account's JSON key file. Raises BadInput, which never tells what is in it."""
        try:
            document = json.loads(key_file)
            key = load_pem_private_key(document["private_key"].encode(), None)
            account = str(document["client_email"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BadInput("the object store's secret is no JSON key file of a Google service account") from None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise BadInput("the object store's secret holds a key that is not RSA")
        return cls(google_host(bucket), bucket, prefix, account, key)

    def grant(self, folder: str, now: float, life_s: float) -> StoreGrant:
        """The right to upload below `folder` for `life_s` seconds from `now` (unix seconds)."""
        key = f"{self.prefix}/{folder}" if self.prefix else folder
        policy = policy_document(self.bucket, f"{key}/", now + life_s, {})
        return StoreGrant(StorageKind.GOOGLE, self.host, key, policy, sign_for_google(policy, self.key), self.account)


def google_host(bucket: str) -> str:
    """Google's URL of a bucket; one with dots stands in the path, as certificates want it."""
    return f"https://storage.googleapis.com/{bucket}" if "." in bucket else f"https://{bucket}.storage.googleapis.com"
