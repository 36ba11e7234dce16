"""Object stores of gateways and of our own: POST policies, uploads, and which addresses peers may send us to."""

from livefleet.wire.storage.addresses import AddressRule, careful_client, neighbouring_networks
from livefleet.wire.storage.errors import AddressRefused, UploadFailed
from livefleet.wire.storage.google import GoogleStore
from livefleet.wire.storage.models import StorageKind, StoreGrant
from livefleet.wire.storage.names import object_name
from livefleet.wire.storage.own import OBJECT_STORE_WRITABLE, OwnStore
from livefleet.wire.storage.s3 import S3Store
from livefleet.wire.storage.store import ObjectStore, open_store
from livefleet.wire.storage.uploader import Uploader

__all__ = [
    "OBJECT_STORE_WRITABLE",
    "AddressRefused",
    "AddressRule",
    "GoogleStore",
    "ObjectStore",
    "OwnStore",
    "S3Store",
    "StorageKind",
    "StoreGrant",
    "UploadFailed",
    "Uploader",
    "careful_client",
    "neighbouring_networks",
    "object_name",
    "open_store",
]
