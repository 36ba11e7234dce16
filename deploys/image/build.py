"""Makes an image: resolves the order, fills a tree by the steps, takes the machine out of it, writes one file."""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deploys.image.basis import Basis
from deploys.image.boot import CONSOLES, make_bootable
from deploys.image.chroot import Chroot, run_tool
from deploys.image.collisions import settle_collisions
from deploys.image.epoch import SourceState, epoch_of, look_at
from deploys.image.fill import DRIVER_VERSION, OPT, agent_commands, driver_commands, system_commands
from deploys.image.formats import missing_tools, packages_of_tools, settle_times, sha256_of, write_image
from deploys.image.inventory import kernels_in, packages_in, tree_sha256, wheels_of
from deploys.image.neutral import neutralise, problems_in
from deploys.image.order import ImageOrder, Resolved, resolve
from deploys.release import Platform, Release, ReleaseShop
from livefleet import __version__
from livefleet.kernel import BadInput, LivefleetError, OutsideWorld
from livefleet.spec import (
    MANIFEST_IN_IMAGE,
    ImageDriver,
    ImageFile,
    ImageFormat,
    ImageManifest,
    ImageRelease,
    ImageSource,
    ReleaseSettings,
)

__all__ = ["Told", "build"]

Told = Callable[[str, str], None]
"""Hears (stage, what begins) before anything that takes long."""

_MACHINE: Final = "x86_64"
_ARCHITECTURE: Final = "amd64"


def build(order: ImageOrder, shop: ReleaseShop, basis: Basis, tell: Told) -> Path:
    """Make the image and return its manifest's path; nothing is left behind where it fails.

    Raises BadInput before anything is made, OutsideWorld or LivefleetError later.
    """
    resolved = resolve(order)
    _can_be_made_here(order)
    name = order.name
    order.out.mkdir(parents=True, exist_ok=True)
    with _alone(order.out / f".{name}.lock"), tempfile.TemporaryDirectory(prefix=f".{name}.", dir=order.out) as scratch:
        folder = Path(scratch)
        tell("sources", "which state of the package sources this is")
        states = [look_at(source, folder) for source in order.sources]
        tree = Chroot(folder / "root", epoch_of(order.epoch, states))
        manifest = _fill(resolved, tree, shop, basis, states, tell)
        return _write(order, manifest, tree.root, name, folder, tell)


def _can_be_made_here(order: ImageOrder) -> None:
    problems = []
    if os.geteuid() != 0:
        problems.append("making an image needs root: its files belong to root, and packages' scripts run in it")
    if os.uname().machine != _MACHINE:
        problems.append(f"images are made for {_MACHINE} and on it; this machine is {os.uname().machine}")
    if missing := missing_tools(order.format):
        problems.append(f"{order.format} needs `apt-get install {' '.join(missing)}` on this machine")
    if problems:
        raise BadInput("\n".join(problems))


def _fill(
    resolved: Resolved,
    tree: Chroot,
    shop: ReleaseShop,
    basis: Basis,
    states: Sequence[SourceState],
    tell: Told,
) -> ImageManifest:
    """The whole tree, and what is in it; the manifest lies in it at the end."""
    order, base = resolved.order, resolved.order.base
    tell("release", "the agent's wheels")
    release = shop.release(resolved.extras, Platform(base.python, _MACHINE), resolved.torch)
    tell("base", f"{base.suite} from {order.sources[0].told}")
    basis.lay(base, resolved.packages, order.sources, [state.digest for state in states], tree.epoch, tree.root)
    kernels = kernels_in(tree.root)
    if resolved.wish is not None:
        if not kernels:
            raise OutsideWorld("the kernel's package brought no kernel into /boot")
        tell("driver", f"NVIDIA's, {resolved.wish.told}, for kernel {', '.join(kernels)}")
        tree.perform(*driver_commands(resolved, kernels))
    tell("agent", f"release {release.id}")
    tree.perform(*agent_commands(shop.parcel(release, ReleaseSettings()), resolved, shop.bundle))
    venv = tree.root / OPT.lstrip("/") / f"releases/{release.id}/venv"
    settle_collisions(venv / f"lib/python{base.python}/site-packages", [*release.wheels, release.wheel])
    tell("system", "units of the first boot")
    tree.perform(*system_commands(resolved))
    tell("manifest", "what is in it")
    found = packages_in(tree)
    driver = _driver(resolved, tree.root, kernels)
    neutralise(tree.root)
    if problems := problems_in(tree.root):
        raise LivefleetError("the tree is not neutral; this is a fault of livefleet's:\n" + "\n".join(problems))
    is_disk = order.format is ImageFormat.DISK
    disk = make_bootable(tree.root, order.consoles or CONSOLES) if is_disk else None
    manifest = ImageManifest(
        profile=order.profile,
        profile_sha256=resolved.profile_sha256,
        fleet=resolved.fleet,
        first_boot_sha256=resolved.first_boot_sha256,
        suite=order.base.suite,
        architecture=_ARCHITECTURE,
        epoch=tree.epoch,
        sources=tuple(map(_told_source, states)),
        kernels=kernels,
        driver=driver,
        disk=disk,
        release=_told_release(release, resolved),
        packages=found,
        tools=_tools(order.format),
        tree_sha256=tree_sha256(tree.root),
    )
    inside = tree.root / MANIFEST_IN_IMAGE.lstrip("/")
    inside.write_text(_json(manifest))
    inside.chmod(0o644)
    settle_times(tree.root, tree.epoch)
    return manifest


def _write(order: ImageOrder, manifest: ImageManifest, root: Path, name: str, folder: Path, tell: Told) -> Path:
    """The image's file and its manifest, put into `order.out` together at the end."""
    file = f"{name}.{order.format.ending}"
    tell("image", file)
    made = folder / file
    write_image(
        order.format,
        root,
        made,
        epoch=manifest.epoch,
        seed=manifest.tree_sha256,
        size_mib=order.size_mib,
        disk=manifest.disk,
    )
    about = ImageFile(name=file, format=order.format, bytes=made.stat().st_size, sha256=sha256_of(made))
    manifest = manifest.model_copy(update={"file": about})
    (folder / f"{file}.json").write_text(_json(manifest))
    made.replace(order.out / file)
    (folder / f"{file}.json").replace(order.out / f"{file}.json")
    return order.out / f"{file}.json"


def _driver(resolved: Resolved, root: Path, kernels: tuple[str, ...]) -> ImageDriver | None:
    wish = resolved.wish
    if wish is None:
        return None
    repository = wish.repository.url if wish.repository else wish.source.name
    return ImageDriver(
        version=(root / DRIVER_VERSION.lstrip("/")).read_text().strip(),
        branch=wish.branch,
        flavour="open" if wish.flavour == "open" else "proprietary",
        source=repository,
        families=tuple(family.name for family in wish.families),
        kernels=kernels,
    )


def _told_source(state: SourceState) -> ImageSource:
    return ImageSource(line=state.source.told, date=None if state.date is None else state.date.isoformat())


def _told_release(release: Release, resolved: Resolved) -> ImageRelease:
    return ImageRelease(
        id=release.id,
        python=resolved.order.base.python,
        extras=tuple(sorted(resolved.extras)),
        wheels=wheels_of(release),
    )


def _json(manifest: ImageManifest) -> str:
    return json.dumps(manifest.model_dump(mode="json"), indent=1) + "\n"


def _tools(image_format: ImageFormat) -> dict[str, str]:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    found = {"livefleet": __version__}
    for package in packages_of_tools(image_format):
        if shutil.which("dpkg-query") is not None:
            words = ["dpkg-query", "-W", "-f", "${Version}", package]
            found[package] = run_tool(words, f"asking for {package}'s version", environment=environment)
    return found


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadInput(f"this image is being made already ({lock} is held); wait, or give another --out") from None
        for left in lock.parent.glob(f"{lock.stem}.*"):  # of a run that was killed
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
        yield
