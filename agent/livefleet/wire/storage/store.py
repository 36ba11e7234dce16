"""An object store of our own, from what is declared."""

from typing import Protocol
from urllib.parse import urlsplit

from livefleet.spec import ObjectStoreSettings
from livefleet.wire.storage.google import GoogleStore
from livefleet.wire.storage.models import StoreGrant
from livefleet.wire.storage.s3 import S3Store, aws_host

__all__ = ["ObjectStore", "open_store"]


class ObjectStore(Protocol):
    """A bucket that we may let others write to."""

    @property
    def host(self) -> str:
        """Its URL, with the bucket in it."""
        ...

    def grant(self, folder: str, now: float, life_s: float) -> StoreGrant:
        """The right to upload below `folder` for `life_s` seconds from `now` (unix seconds)."""
        ...


def open_store(settings: ObjectStoreSettings, secret: str) -> ObjectStore:
    """The declared store. `secret`: the secret key, or Google's JSON key file. Raises BadInput for a wrong one."""
    parts = urlsplit(settings.url)
    first, _, rest = parts.path.strip("/").partition("/")
    if parts.scheme == "gs":
        return GoogleStore.of(parts.netloc, "/".join(filter(None, (first, rest))), secret)
    assert settings.access_key is not None  # the settings' own rule
    if parts.scheme == "s3":
        host, region = aws_host(first, parts.netloc), parts.netloc
    else:
        host, region = f"{parts.scheme.removeprefix('s3+')}://{parts.netloc}/{first}", settings.region
    return S3Store(host, first, region, rest, settings.access_key, secret)
