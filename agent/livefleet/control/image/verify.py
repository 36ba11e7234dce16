"""Proving an image: that the file is the one its manifest describes, and that both tell the same."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from livefleet.control.image.look import manifest_inside, manifest_of
from livefleet.kernel import BadInput
from livefleet.spec import ImageManifest

__all__ = ["Finding", "verify_image"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    fine: bool
    told: str


def verify_image(image: Path, against: Path | None = None) -> tuple[Finding, ...]:
    """Look at the file's size and digest, and at the manifest in it.

    `against`: another image or manifest, which must be of the same content: whoever builds again from the same inputs
    proves by it that nothing else is in the image. Raises BadInput where one of them is no image.
    """
    manifest = manifest_of(image)
    if manifest.file is None:
        raise BadInput(f"{image} has no manifest beside it ({image.name}.json), which tells its digest")
    size, digest = image.stat().st_size, _sha256(image)
    inside = manifest_inside(image)
    findings = [
        _same("size", manifest.file.bytes, size),
        _same("sha256", manifest.file.sha256, digest),
        _same_but_file("the manifest in it", manifest, inside),
    ]
    if against is not None:
        other = manifest_of(against)
        findings.append(_same("tree", other.tree_sha256, manifest.tree_sha256))
        if other.file is not None and other.file.format is manifest.file.format:
            findings.append(_same("file", other.file.sha256, manifest.file.sha256))
        findings += [_same(what, *pair) for what, pair in _differing(other, manifest).items()]
    return tuple(findings)


def _same(what: str, declared: object, found: object) -> Finding:
    is_same = declared == found
    return Finding(what, is_same, str(found) if is_same else f"{found}, not {declared}")


def _same_but_file(what: str, beside: ImageManifest, inside: ImageManifest) -> Finding:
    is_same = beside.model_copy(update={"file": None}) == inside
    return Finding(what, is_same, "tells the same" if is_same else "tells something else than the one beside it")


def _differing(other: ImageManifest, own: ImageManifest) -> dict[str, tuple[object, object]]:
    """What went into only one of them, for whoever wants to know why digests differ."""
    pairs: dict[str, tuple[object, object]] = {}
    for field in ("profile_sha256", "first_boot_sha256", "suite", "epoch"):
        pairs[field] = (getattr(other, field), getattr(own, field))
    pairs["release"] = (other.release.id, own.release.id)
    before = {f"{p.name}:{p.architecture}": p.version for p in other.packages}
    after = {f"{p.name}:{p.architecture}": p.version for p in own.packages}
    for name in sorted({*before, *after}):
        pairs[f"package {name}"] = (before.get(name), after.get(name))
    return {what: pair for what, pair in pairs.items() if pair[0] != pair[1]}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
