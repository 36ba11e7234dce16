"""Writes bundles: the fleet's slices, signed, as a folder that any web server or object store can hand out.

A repository of The Update Framework, written with its library. Two keys: `root.pem` says who may publish and belongs
away from any network; `publish.pem` signs what is published.

    DIR/metadata/root.json N.root.json N.targets.json N.snapshot.json timestamp.json
    DIR/targets/hosts/HOST/HASH.node.yaml
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.exceptions import StorageError
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from livefleet.kernel import BadInput, OutsideWorld
from livefleet.kernel.durable_file import write_durably
from livefleet.spec import Fleet, slice_path, to_yaml

__all__ = ["ROOT_VALID", "Bundle", "BundleState", "Publication", "slices_of"]

ROOT_VALID: Final = timedelta(days=3650)
"""The root is renewed by hand only, so it lasts; what it allows to publish is renewed with each publication."""

_ROOT_KEY, _PUBLISH_KEY = "root.pem", "publish.pem"
_ROLES: Final = (Targets.type, Snapshot.type, Timestamp.type)
_T = TypeVar("_T", bound=Signed)


@dataclass(frozen=True, slots=True)
class Publication:
    """What a publication has changed."""

    version: int
    new: tuple[str, ...]  # hosts
    changed: tuple[str, ...]
    gone: tuple[str, ...]
    unchanged: tuple[str, ...]
    expires: datetime


@dataclass(frozen=True, slots=True)
class BundleState:
    """What a bundle says."""

    version: int
    expires: datetime
    hosts: Mapping[str, str]  # to the SHA-256 of their slice


class Bundle:
    """One bundle's folder and its keys' folder."""

    def __init__(self, folder: Path, keys: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._folder = folder
        self._keys = keys
        self._metadata = folder / "metadata"
        self._now = now

    def create(self) -> Path:
        """Makes both keys and the first root. Returns the file that hosts are to trust. BadInput where one is."""
        for path in (self._keys / _ROOT_KEY, self._keys / _PUBLISH_KEY, self._metadata / "root.json"):
            if path.exists():
                raise BadInput(f"{path} is there already; a bundle is made once, its keys are never overwritten")
        root_signer, publisher = CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()
        try:
            for name, signer in ((_ROOT_KEY, root_signer), (_PUBLISH_KEY, publisher)):
                _write(self._keys / name, signer.private_bytes, 0o600)
            root = Root(version=1, expires=self._now() + ROOT_VALID, consistent_snapshot=True)
            root.add_key(root_signer.public_key, Root.type)
            for role in _ROLES:
                root.add_key(publisher.public_key, role)
            signed = _signed(root, root_signer)
            _write(self._metadata / "1.root.json", signed, 0o644)
            _write(self._metadata / "root.json", signed, 0o644)
        except OSError as error:
            raise OutsideWorld(f"{error.filename}: cannot be written: {error.strerror}") from error
        return self._metadata / "root.json"

    def rotate(self) -> Path:
        """Makes a new key that publishes and a root that believes it, no longer the one before: that is kept aside.

        Hosts follow by themselves; nothing counts until the next publication. Returns where the old key went.
        """
        root = self._read(Root, "root.json")
        signer = self._key(_ROOT_KEY, root, Root.type)
        publisher = CryptoSigner.generate_ed25519()
        for role in _ROLES:
            for keyid in list(root.roles[role].keyids):
                root.revoke_key(keyid, role)
            root.add_key(publisher.public_key, role)
        root.version += 1
        root.expires = self._now().replace(microsecond=0) + ROOT_VALID
        signed = _signed(root, signer)
        path = self._keys / _PUBLISH_KEY
        aside = path.with_name(f"publish-before-{root.version}.pem")
        try:
            if path.exists():
                path.replace(aside)
            _write(path, publisher.private_bytes, 0o600)
            _write(self._metadata / f"{root.version}.root.json", signed, 0o644)
            _write(self._metadata / "root.json", signed, 0o644)
        except OSError as error:
            raise OutsideWorld(f"{error.filename}: cannot be written: {error.strerror}") from error
        return aside

    def publish(self, slices: Mapping[str, bytes], valid: timedelta) -> Publication:
        """Signs `slices` (by host) as the next version. The last file written is the one that makes it count.

        Raises BadInput when the keys do not fit, OutsideWorld when the folder cannot be written.
        """
        signer = self._key(_PUBLISH_KEY, self._read(Root, "root.json"), Targets.type)
        before = self._targets()
        expires = self._now().replace(microsecond=0) + valid
        targets = Targets(version=(before.version if before else 0) + 1, expires=expires)
        try:
            for host, content in slices.items():
                target = TargetFile.from_data(slice_path(host), content, ["sha256"])
                targets.targets[target.path] = target
                name = f"{target.hashes['sha256']}.node.yaml"
                _write(self._folder / "targets/hosts" / host / name, content, 0o644)
            self._sign_lists(targets, signer, expires)
            self._forget(before, targets)
        except OSError as error:
            raise OutsideWorld(f"{error.filename}: cannot be written: {error.strerror}") from error
        return _difference(before, targets, expires)

    def state(self) -> BundleState | None:
        """What is published; None before the first publication. Raises BadInput when there is no bundle."""
        self._read(Root, "root.json")
        targets = self._targets()
        if targets is None:
            return None
        timestamp = self._read(Timestamp, "timestamp.json")
        return BundleState(targets.version, min(timestamp.expires, targets.expires), _hashes(targets))

    def _targets(self) -> Targets | None:
        """The lists that count: those that the timestamp leads to, whatever a cut-off publication has left."""
        if not (self._metadata / "timestamp.json").exists():
            return None
        timestamp = self._read(Timestamp, "timestamp.json")
        snapshot = self._read(Snapshot, f"{timestamp.snapshot_meta.version}.snapshot.json")
        return self._read(Targets, f"{snapshot.meta['targets.json'].version}.targets.json")

    def _sign_lists(self, targets: Targets, signer: CryptoSigner, expires: datetime) -> None:
        version = targets.version  # all three go by one number
        snapshot = Snapshot(version=version, expires=expires, meta={"targets.json": MetaFile(version)})
        timestamp = Timestamp(version=version, expires=expires, snapshot_meta=MetaFile(version))
        _write(self._metadata / f"{version}.targets.json", _signed(targets, signer), 0o644)
        _write(self._metadata / f"{version}.snapshot.json", _signed(snapshot, signer), 0o644)
        _write(self._metadata / "timestamp.json", _signed(timestamp, signer), 0o644)

    def _forget(self, before: Targets | None, now: Targets) -> None:
        """What is older than the version before goes: a host that is reading that one ends its reading in peace."""
        for kind in (Targets.type, Snapshot.type):
            for file in self._metadata.glob(f"*.{kind}.json"):
                if file.name.split(".")[0].isdigit() and int(file.name.split(".")[0]) < now.version - 1:
                    file.unlink(missing_ok=True)
        named = set(_hashes(now).values()) | (set() if before is None else set(_hashes(before).values()))
        for file in (self._folder / "targets/hosts").glob("*/*.node.yaml"):
            if file.name.split(".")[0] not in named:
                file.unlink(missing_ok=True)

    def _key(self, name: str, root: Root, role: str) -> CryptoSigner:
        path = self._keys / name
        try:
            signer = CryptoSigner(load_pem_private_key(path.read_bytes(), None))
        except OSError as error:
            raise BadInput(f"{path}: cannot read the key: {error.strerror}; see `--keys`") from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise BadInput(f"{path}: is no key that was made by `livefleet bundle init`") from error
        if signer.public_key.keyid not in root.roles[role].keyids:
            raise BadInput(f"{path}: is not the key that this bundle's root names; no host would believe it")
        return signer

    def _read(self, kind: type[_T], name: str) -> _T:
        path = self._metadata / name
        try:
            found: Signed = Metadata.from_file(str(path)).signed
        except StorageError as error:
            raise BadInput(f"{path}: cannot be read; `livefleet bundle init` makes a bundle") from error
        except RepositoryError as error:
            raise BadInput(f"{path}: is no list of a bundle: {error}") from error
        if not isinstance(found, kind):
            raise BadInput(f"{path}: is a list of another kind ({found.type})")
        return found


def slices_of(fleet: Fleet) -> dict[str, bytes]:
    """The slices of those hosts that pull: byte for byte what `apply` would write. Raises BadInput when none does."""
    nodes = {name: fleet.node(name) for name in fleet.hosts}
    slices = {name: to_yaml(node).encode() for name, node in nodes.items() if node.pull is not None}
    if not slices:
        raise BadInput(f"{fleet.path}: no host has `pull:`; give it where the bundle will be found")
    return slices


def _difference(before: Targets | None, after: Targets, expires: datetime) -> Publication:
    old, new = {} if before is None else _hashes(before), _hashes(after)
    return Publication(
        after.version,
        new=tuple(host for host in new if host not in old),
        changed=tuple(host for host in new if host in old and old[host] != new[host]),
        gone=tuple(host for host in old if host not in new),
        unchanged=tuple(host for host in new if old.get(host) == new[host]),
        expires=expires,
    )


def _hashes(targets: Targets) -> dict[str, str]:
    return {path.split("/")[1]: target.hashes["sha256"] for path, target in targets.targets.items()}


def _signed(signed: Root | Targets | Snapshot | Timestamp, signer: CryptoSigner) -> bytes:
    metadata: Metadata[Any] = Metadata(signed)
    metadata.sign(signer)
    return metadata.to_bytes(JSONSerializer())


def _write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if mode == 0o600 else 0o755)
    write_durably(path, content, mode=mode)
