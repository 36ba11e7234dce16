"""`livefleet image build`: make an image of a profile."""

import json
import tempfile
from pathlib import Path
from typing import Any

import click

from livefleet.cli.output import console, print_json
from livefleet.control.image import BuildStage, ImageRequest, build_image
from livefleet.kernel import BadInput
from livefleet.spec import ImageFormat, ImageManifest, parse_manifest
from livefleet.spec.enrol import FIRST_BOOT_FILE, FirstBootMode, load_first_boot

__all__ = ["command"]

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("build")
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    required=True,
    metavar="NAME",
    help="What the hardware wants, hence which driver; repeatable, the later wins.",
)
@click.option("--fleet", type=_FILE, help="A fleet file, whose defaults and own profiles count.  [default: none]")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, metavar="DIR", help="Where it is put."
)
@click.option(
    "--format",
    "image_format",
    type=click.Choice([str(kind) for kind in ImageFormat]),
    default=str(ImageFormat.EXT4),
    show_default=True,
    help="rootfs-tar: to unpack, or a container. ext4: a partition, or a virtual machine that is given its kernel."
    " disk: a whole disk or stick, which UEFI firmware starts by itself; without secure boot.",
)
@click.option("--enrol", "url", metavar="URL", help="`https://HOST:PORT` of `livefleet enrol serve`.")
@click.option(
    "--pin", "pins", multiple=True, help="Key of that service, as `livefleet enrol pin` prints it; repeatable."
)
@click.option("--ca", type=_FILE, help="Authorities that the service's certificate may come from, PEM.")
@click.option("--pool", metavar="NAME", help="For workers of this pool: asked for payout address and nickname alone.")
@click.option("--first-boot", type=_FILE, help="A first-boot.yaml that says all of this, in place of the four above.")
@click.option("--suite", default="bookworm", show_default=True, help="Debian's release: bookworm or trixie.")
@click.option(
    "--apt-source", "apt_sources", multiple=True, metavar="LINE", help="A `deb` line in place of Debian's own."
)
@click.option("--snapshot", metavar="TIME", help="Debian as it was then, as 20260901T000000Z: builds again the same.")
@click.option(
    "--duty", "duties", multiple=True, type=click.Choice(["transcoding", "ai"]), help="In place of the profile's."
)
@click.option(
    "--authorized-key",
    "key_files",
    multiple=True,
    type=_FILE,
    help="Public ssh key that may log in as root; repeatable.",
)
@click.option(
    "--epoch", type=click.IntRange(0), help="Unix seconds in place of every time of making.  [default: the sources']"
)
@click.option(
    "--size",
    "size_mib",
    type=click.IntRange(256),
    help="MiB of an ext4 or a disk.  [default: what is needed and some room]",
)
@click.option(
    "--kernel",
    metavar="PACKAGE",
    help="linux-image-amd64, or linux-image-cloud-amd64 (virtual machines alone). A tar without a driver has none"
    " unless this asks for one.  [default: linux-image-amd64]",
)
@click.option(
    "--package",
    "packages",
    multiple=True,
    metavar="NAME",
    help="One more of the distribution's packages, such as firmware-realtek or intel-microcode; repeatable.",
)
@click.option(
    "--console",
    "consoles",
    multiple=True,
    metavar="NAME",
    help="Of a disk's kernel, repeatable; the first boot speaks on the last.  [default: ttyS0,115200 and tty0]",
)
@click.option("--json", "as_json", is_flag=True, help="The manifest on stdout; progress stays on stderr.")
def command(
    profiles: tuple[str, ...],
    fleet: Path | None,
    out: Path,
    image_format: str,
    url: str | None,
    pins: tuple[str, ...],
    ca: Path | None,
    pool: str | None,
    first_boot: Path | None,
    *,
    suite: str,
    apt_sources: tuple[str, ...],
    snapshot: str | None,
    duties: tuple[str, ...],
    key_files: tuple[Path, ...],
    epoch: int | None,
    size_mib: int | None,
    kernel: str | None,
    packages: tuple[str, ...],
    consoles: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make an image of the profile NAME in DIR, with its manifest beside it. Needs root.

    The same inputs give the same digest. Secrets in the inputs are refused. Give either --enrol with --pin or --ca, or
    --first-boot: an image must know its operator, and enrols nowhere else.

    Exit code 2 where it cannot be made as asked, before anything is; 3 where a package source or a package fails.
    """
    if apt_sources and snapshot:
        raise BadInput("--snapshot chooses Debian's own sources, --apt-source others: give one of them")
    out_of_flags = {"--enrol": url, "--pin": pins, "--ca": ca, "--pool": pool}
    given = [flag for flag, value in out_of_flags.items() if value]
    if first_boot is not None and given:
        raise BadInput(f"{', '.join(given)}: --first-boot says that already; give one of them")
    if first_boot is None and url is None:
        raise BadInput("an image must know where its hosts enrol: give --enrol URL with --pin or --ca, or --first-boot")
    err = console(stderr=True)

    def show(stage: BuildStage) -> None:
        err.print(f"{stage.name}: {stage.text}", markup=False)

    with tempfile.TemporaryDirectory() as scratch:
        settings = first_boot
        if settings is None:
            settings = Path(scratch) / FIRST_BOOT_FILE
            settings.write_text(json.dumps(_first_boot(url, pins, ca, pool)))
        load_first_boot(settings)  # told here, with the flags' names nearby
        request = ImageRequest(
            profiles=profiles,
            first_boot=settings,
            out=out,
            format=ImageFormat(image_format),
            fleet=fleet,
            suite=suite,
            apt_sources=apt_sources,
            snapshot=snapshot,
            duties=duties,
            authorized_keys=tuple(line for file in key_files for line in _public_keys(file)),
            epoch=epoch,
            size_mib=size_mib,
            kernel=kernel,
            packages=packages,
            consoles=consoles,
        )
        path = build_image(request, on_stage=show)
    manifest = parse_manifest(path.read_text(), path)
    if as_json:
        print_json(manifest.model_dump(mode="json"))
    else:
        _print(path, manifest)


def _first_boot(url: str | None, pins: tuple[str, ...], ca: Path | None, pool: str | None) -> dict[str, Any]:
    trust: dict[str, Any] = {"pins": list(pins)} if pins else {}
    if ca is not None:
        trust["ca"] = _read(ca)
    told: dict[str, Any] = {"url": url, "trust": trust}
    return told if pool is None else told | {"mode": str(FirstBootMode.POOL_WORKER), "pool": pool}


def _public_keys(file: Path) -> list[str]:
    lines = [line.strip() for line in _read(file).splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    for key in keys:
        if not key.startswith(("ssh-", "ecdsa-", "sk-")):
            raise BadInput(f"{file} is no public ssh key (its lines begin with ssh-ed25519 or the like)")
    if not keys:
        raise BadInput(f"{file} has no key in it")
    return keys


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read: {error}") from error


def _print(path: Path, manifest: ImageManifest) -> None:
    assert manifest.file is not None
    out = console()
    driver = "no driver" if manifest.driver is None else f"driver {manifest.driver.version}"
    out.print(
        f"{path.with_name(manifest.file.name)}: {manifest.file.bytes / (1 << 20):.0f} MiB, profile {manifest.profile},"
        f" {driver}, release {manifest.release.id}, {len(manifest.packages)} packages\n"
        f"sha256 {manifest.file.sha256}\n\n"
        f"next: livefleet image verify {path.with_name(manifest.file.name)}",
        markup=False,
    )
