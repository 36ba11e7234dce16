"""The distribution's part of a tree, before anything of livefleet's: made by mmdebstrap, kept for the next image."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploys.image.bases import AptSource, Base, told_sources
from deploys.image.chroot import run_tool

__all__ = ["Basis"]

_KEPT: Final = 3
_TAR: Final = ("--numeric-owner", "--xattrs", "--xattrs-include=*")


class Basis:
    """Trees of packages alone, named by all that decides what is in them: packages, sources and their state, times."""

    def __init__(self, cache: Path, architecture: str) -> None:
        self._cache = cache
        self._architecture = architecture

    def lay(
        self,
        base: Base,
        packages: Sequence[str],
        sources: Sequence[AptSource],
        states: Sequence[str],
        epoch: int,
        root: Path,
    ) -> bool:
        """Fill `root`, whose folder exists and which does not. Whether it was there already.

        `states`: what tells the state of each source. Raises OutsideWorld.
        """
        kept = self._cache / f"{base.suite}-{self._key(base, packages, sources, states, epoch)}.tar"
        if kept.exists():
            root.mkdir(mode=0o755)
            kept.touch()
            self._tar(
                ["--extract", "--same-permissions", "--same-owner", "--file", str(kept), "--directory", str(root)]
            )
            return True
        self._make(base, packages, sources, epoch, root)
        self._keep(root, kept)
        return False

    def _make(self, base: Base, packages: Sequence[str], sources: Sequence[AptSource], epoch: int, root: Path) -> None:
        (settings := root.parent / "apt.conf").write_text(_own_apt_settings())
        (listed := root.parent / "sources.list").write_text(told_sources(sources))
        words = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(packages)}"]
        words += [f"--architectures={self._architecture}", f"--aptopt={settings}", "--skip=cleanup/apt"]
        environment = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "SOURCE_DATE_EPOCH": str(epoch),
            "PYTHONHASHSEED": "0",
            **({"TMPDIR": os.environ["TMPDIR"]} if "TMPDIR" in os.environ else {}),
        }
        run_tool([*words, base.suite, str(root), str(listed)], "making the base", environment=environment)
        for deb in (root / "var/cache/apt/archives").glob("*.deb"):
            deb.unlink()

    def _keep(self, root: Path, kept: Path) -> None:
        self._cache.mkdir(parents=True, exist_ok=True)
        partial = kept.with_name(f"{kept.name}.{os.getpid()}")
        self._tar(["--create", "--one-file-system", "--file", str(partial), "--directory", str(root), "."])
        partial.replace(kept)
        for old in sorted(self._cache.glob("*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT:]:
            old.unlink(missing_ok=True)

    @staticmethod
    def _tar(words: Sequence[str]) -> None:
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        run_tool(["tar", *words[:1], *_TAR, *words[1:]], "keeping the base", environment=environment)

    def _key(
        self, base: Base, packages: Sequence[str], sources: Sequence[AptSource], states: Sequence[str], epoch: int
    ) -> str:
        lines = (source.line for source in sources)
        maker = run_tool(
            ["mmdebstrap", "--version"], "asking for its version", environment={"PATH": os.environ["PATH"]}
        )
        parts = (maker, base.suite, self._architecture, *packages, "", *lines, "", *states, str(epoch))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _own_apt_settings() -> str:
    """This machine's proxies, date checks and the like."""
    words = ["apt-config", "dump", "Acquire"]
    lines = run_tool(words, "reading apt's settings", environment=dict(os.environ)).splitlines()
    return "".join(f"{line}\n" for line in lines if "::IndexTargets" not in line and not line.endswith(' "";'))
