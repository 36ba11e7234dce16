"""The right to put files into somebody's object store."""

from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import quote, unquote, urlsplit

__all__ = ["StorageKind", "StoreGrant", "lies_under"]


class StorageKind(Enum):
    """Whose form fields an upload needs."""

    S3 = "s3"
    GOOGLE = "google"


@dataclass(frozen=True, slots=True)
class StoreGrant:
    """A signed POST policy: whoever holds it may upload below `key` until the policy ends.

    Source: lp_rpc.proto OSInfo and S3OSInfo, go-tools drivers/s3.go and drivers/gs.go.
    """

    kind: StorageKind
    host: str  # http(s) URL that forms are posted to; it contains the bucket, as host or as path
    key: str  # every object's key begins with it
    policy: str = field(repr=False)  # base64 of the JSON document
    signature: str = field(repr=False)  # hex for S3, base64 for Google
    credential: str = ""  # S3: key id and scope; Google: the service account's address
    amz_date: str = ""  # S3 only

    def __post_init__(self) -> None:
        """Raises ValueError for a host that nothing can be posted to."""
        parts = urlsplit(self.host)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("the store's host is no http(s) URL")
        if parts.username is not None or parts.password is not None:
            raise ValueError("the store's host carries credentials")
        _ = parts.port  # raises ValueError for what is no port

    def object_key(self, name: str) -> str:
        """The key of a file of this grant."""
        return f"{self.key.removesuffix('/')}/{name}".removeprefix("/")

    def url(self, name: str) -> str:
        """Where a file of this grant is read; begins with `host` as given, by which gateways know their own store."""
        return f"{self.host.removesuffix('/')}/{quote(self.object_key(name))}"

    def holds(self, url: str) -> bool:
        """Whether a URL is one of this store."""
        return lies_under(self.host, url)

    def form(self, name: str, media_type: str) -> dict[str, str]:
        """The fields before the file, as both stores and stock gateways' policies want them."""
        fields = {
            "acl": "public-read",
            "Content-Type": media_type,
            "key": self.object_key(name),
            "policy": self.policy,
        }
        match self.kind:
            case StorageKind.S3:
                return fields | {
                    "x-amz-algorithm": "AWS4-HMAC-SHA256",
                    "x-amz-credential": self.credential,
                    "x-amz-date": self.amz_date,
                    "x-amz-signature": self.signature,
                }
            case StorageKind.GOOGLE:
                return fields | {"GoogleAccessId": self.credential, "signature": self.signature}


def lies_under(host: str, url: str) -> bool:
    """Whether a URL begins with a store's, by which gateways and orchestrators know their own, and stays there."""
    start = f"{host.removesuffix('/')}/"
    parts = unquote(url.removeprefix(start)).replace("\\", "/").split("/")
    return url.startswith(start) and not {".", ".."} & set(parts)
