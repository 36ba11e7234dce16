"""Makes one image and tells what happens as JSON lines on stdout: `python -m deploys.image`, for `livefleet image`.

A process of its own, as every deploy is: what runs on the operator's side imports none of it.
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from deploys.image.bases import BASES, base_of, parse_source
from deploys.image.basis import Basis
from deploys.image.build import build
from deploys.image.order import ImageOrder
from deploys.release import Platform, ReleaseShop
from livefleet.kernel import BadInput, ExitCode, LivefleetError, OutsideWorld
from livefleet.spec import ImageFormat
from livefleet.spec.enrol import load_first_boot

__all__ = ["main"]


def main() -> int:
    """One image. Exit codes are those of every command; told to end, it takes away what it has begun."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options = _options()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "livefleet"
    shop = ReleaseShop(Path(__file__).resolve().parents[2], cache, Platform.own())
    try:
        basis = Basis(cache / "images", "amd64")
        manifest = build(_order(options), shop, basis, lambda stage, text: _tell("stage", stage=stage, text=text))
    except BadInput as error:
        _tell("bad_input", reason=str(error))
        return ExitCode.BAD_INPUT
    except LivefleetError as error:
        _tell("failed", reason=str(error))
        return ExitCode.OUTSIDE_SAID_NO if isinstance(error, OutsideWorld) else ExitCode.PARTLY_FAILED
    except OSError as error:
        _tell("failed", reason=f"{error.filename or options.out}: {error.strerror}")
        return ExitCode.OUTSIDE_SAID_NO
    _tell("done", manifest=str(manifest))
    return ExitCode.DONE


def _order(options: argparse.Namespace) -> ImageOrder:
    base = base_of(options.suite)
    sources = tuple(map(parse_source, options.apt_source)) or base.sources(options.snapshot)
    epoch = os.environ.get("SOURCE_DATE_EPOCH") if options.epoch is None else options.epoch
    return ImageOrder(
        profiles=tuple(options.profile),
        base=base,
        sources=sources,
        format=ImageFormat(options.format),
        out=options.out,
        first_boot=load_first_boot(options.first_boot),
        fleet=options.fleet,
        duties=tuple(dict.fromkeys(options.duty)),
        authorized_keys=tuple(options.authorized_key),
        epoch=None if epoch is None else int(epoch),
        size_mib=options.size,
        kernel=options.kernel,
        packages=tuple(dict.fromkeys(options.package)),
        consoles=tuple(dict.fromkeys(options.console)),
    )


def _tell(event: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploys.image", description=__doc__)
    parser.add_argument("--profile", action="append", required=True)
    parser.add_argument("--first-boot", type=Path, required=True, help="first-boot.yaml of the image")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fleet", type=Path)
    parser.add_argument("--format", choices=[str(kind) for kind in ImageFormat], default=str(ImageFormat.EXT4))
    parser.add_argument("--suite", choices=list(BASES), default="bookworm")
    parser.add_argument("--apt-source", action="append", default=[], help="a `deb` line in place of Debian's own")
    parser.add_argument("--snapshot", help="Debian as it was at this time, as 20260901T000000Z")
    parser.add_argument("--duty", action="append", default=[])
    parser.add_argument("--authorized-key", action="append", default=[], help="a public ssh key, for root")
    parser.add_argument("--epoch", type=int, help="unix seconds")
    parser.add_argument("--size", type=int, help="MiB of an ext4 or a disk")
    parser.add_argument("--kernel", help="a metapackage of the suite's kernels")
    parser.add_argument("--package", action="append", default=[], help="one of the distribution's, beside the others")
    parser.add_argument("--console", action="append", default=[], help="of a disk's kernel; the last leads")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
