"""An object store of the node's own, for sources and results of video."""

import re
from ipaddress import ip_network
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from livefleet.spec.model import SpecModel

__all__ = ["NetworkText", "ObjectStoreLayer", "ObjectStoreSettings"]

_FORMS: Final = "s3://REGION/BUCKET/PREFIX, s3+https://HOST/BUCKET/PREFIX, s3+http://HOST/BUCKET/PREFIX or gs://BUCKET"
_SCHEMES: Final = frozenset({"s3", "s3+https", "s3+http", "gs"})
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_PREFIX: Final = re.compile(r"([A-Za-z0-9!_.*'()-]+(/[A-Za-z0-9!_.*'()-]+)*)?")


def _store_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.username is not None or parts.password is not None:
        raise ValueError("credentials do not belong in the URL: give `access_key`, and name the secret under `secret`")
    if parts.scheme not in _SCHEMES or not parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"write it as {_FORMS}")
    first, _, rest = parts.path.strip("/").partition("/")
    bucket, prefix = (parts.netloc, parts.path.strip("/")) if parts.scheme == "gs" else (first, rest)
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"`{bucket}` is no name of a bucket; write it as {_FORMS}")
    if not _PREFIX.fullmatch(prefix) or {".", ".."} & set(prefix.split("/")):
        raise ValueError(f"`{prefix}` is no prefix: letters, digits, - _ . and single slashes")
    return text


def _network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError as error:
        raise ValueError(f"no network in CIDR notation: {error}") from None
    return text


NetworkText = Annotated[str, AfterValidator(_network)]
"""A network in CIDR notation, `10.0.0.0/8`."""


class ObjectStoreLayer(SpecModel):
    """The node's own object store, as far as one layer says."""

    url: Annotated[str, AfterValidator(_store_url)] | None = None
    """Where it is: `s3://REGION/BUCKET/PREFIX` at Amazon, `s3+https://HOST/BUCKET/PREFIX` (or `s3+http`) at anything
    that speaks S3, `gs://BUCKET/PREFIX` at Google. The prefix may be left out. Objects are uploaded by signed forms
    with the ACL `public-read`, as gateways do it: the bucket must allow that."""

    access_key: str | None = Field(default=None, min_length=1)
    """Id of the key that signs, for S3. It may need no more than `s3:PutObject` and `s3:PutObjectAcl` below the prefix.
    None: for Google, whose key file says whose it is."""

    secret: str | None = None
    """Name (under `secrets`) of the secret key; for Google of a service account's JSON key file."""

    region: str = Field(default="us-east-1", pattern=r"^[a-z0-9-]+$")
    """Region that `s3+https` and `s3+http` signatures are made for; most stores take any. Amazon's is in the URL."""


class ObjectStoreSettings(ObjectStoreLayer):
    """The node's own object store."""

    url: Annotated[str, AfterValidator(_store_url)]
    """Where it is: `s3://REGION/BUCKET/PREFIX` at Amazon, `s3+https://HOST/BUCKET/PREFIX` (or `s3+http`) at anything
    that speaks S3, `gs://BUCKET/PREFIX` at Google. The prefix may be left out. Objects are uploaded by signed forms
    with the ACL `public-read`, as gateways do it: the bucket must allow that."""

    secret: str
    """Name (under `secrets`) of the secret key; for Google of a service account's JSON key file."""

    @model_validator(mode="after")
    def _key_fits_store(self) -> Self:
        is_google = self.url.startswith("gs://")
        if is_google and self.access_key is not None:
            raise ValueError("`access_key` is for S3; Google's key file says whose it is")
        if not is_google and self.access_key is None:
            raise ValueError("S3 needs `access_key`, the id that goes with the secret")
        return self
