"""The agent's release on the host: installed beside the others. `config` switches to it."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from deploys.facts import Observed
from deploys.outcome import Command, Outcome, Upload, sh
from deploys.parcel import Parcel
from deploys.steps.files import alone

__all__ = ["agent"]

_SENT_S: Final = 1200
_DOWNLOADED_S: Final = 7200  # CUDA's libraries are gigabytes, and sites' lines are what they are


def agent(
    parcel: Parcel, opt: str, facts: Observed, *, local: bool, keep: int, bundle: Callable[[Parcel], Path]
) -> Outcome:
    """Bring the release to the host where it is absent, and forget the oldest. What runs is left alone."""
    release = parcel.release
    if release.id in facts.releases:
        return Outcome()
    install = _local_install(parcel, opt) if local else _remote_install(parcel, opt, facts, bundle)
    commands = (*install, sh(_prune(release.id, opt, keep), timeout_s=300))
    return Outcome(commands=commands, notes=(f"install release {release.id} ({parcel.told})",))


def _local_install(parcel: Parcel, opt: str) -> list[Command]:
    """On the operator's own machine the wheels are already here, and so is uv with its cache."""
    uv = shlex.quote(str(parcel.release.installer))
    lines = _install(parcel.release.id, opt, uv, ("--offline", "--no-index"))
    return [sh(lines, stdin=parcel.requirements_here(), timeout_s=900)]


def _remote_install(parcel: Parcel, opt: str, facts: Observed, bundle: Callable[[Parcel], Path]) -> list[Command]:
    incoming = f"{opt}/incoming"
    folder = f"{opt}/bundles/{parcel.digest}"
    commands: list[Command] = [sh([f"rm -rf {shlex.quote(incoming)}; mkdir -p {shlex.quote(incoming)}"])]
    unpack: list[str] = []
    if parcel.digest not in facts.bundles:
        tar = f"{incoming}/{parcel.digest}.tar"
        commands.append(Upload(source=bundle(parcel), dest=tar))
        q = shlex.quote(folder)
        unpack = [
            f"rm -rf {shlex.quote(opt + '/bundles')}; mkdir -p {q}",
            f'bundle={q}; trap \'[ -e "$bundle/.complete" ] || rm -rf "$bundle"\' EXIT',
            f"tar -xf {shlex.quote(tar)} -C {q} --no-same-owner; rm -f {shlex.quote(tar)}",
            f"gunzip -f {q}/uv.gz; chmod 755 {q}/uv; sync -f {q}; touch {q}/.complete",
        ]
    wheel = f"{incoming}/{parcel.own.path.name}"
    commands.append(Upload(source=parcel.own.path, dest=wheel))
    uv = f"UV_CACHE_DIR={shlex.quote(opt + '/cache')} {shlex.quote(folder + '/uv')}"
    install = [
        *_install(parcel.release.id, opt, uv, parcel.flags, bundle=shlex.quote(folder), compile_bytecode=True),
        f"rm -rf {shlex.quote(incoming)}",
    ]
    requirements = parcel.requirements(f"{folder}/wheels", wheel)
    timeout_s = _SENT_S if "--offline" in parcel.flags else _DOWNLOADED_S
    commands.append(sh(["umask 022", *unpack, *install], stdin=requirements, timeout_s=timeout_s))
    return commands


def _install(
    release: str,
    opt: str,
    uv: str,
    where: Sequence[str],
    *,
    bundle: str = "/nonexistent",
    compile_bytecode: bool = False,
) -> list[str]:
    """An environment of its own from exactly the wheels that stdin names, each by its hash. `where`: uv's flags.

    Where the service may not write beside the code (systemd's ProtectSystem), the bytecode is made here.
    """
    folder = shlex.quote(f"{opt}/releases/{release}")
    flags = "--quiet --no-config"
    compiled = " --compile-bytecode" if compile_bytecode else ""
    exactly = f"{shlex.join(where)} --no-deps --require-hashes --only-binary :all:{compiled}"
    return [
        "umask 022",
        *alone(f"{opt}/install.lock"),
        f"rm -rf {folder}; mkdir -p {folder}",
        # Where the disk is full, what runs needs the room; and wheels that do not install are sent again.
        f"release={folder}; bundle={bundle}",
        'forget() { [ -e "$release/.complete" ] || rm -rf "$release" "$bundle/.complete"; }; trap forget EXIT',
        f'{uv} venv {flags} --offline --no-python-downloads --python "$(command -v python3)" {folder}/venv </dev/null',
        f"{uv} pip install {flags} {exactly} --python {folder}/venv/bin/python -r -",
        f"{folder}/venv/bin/livefleet --version </dev/null",
        f"sync -f {folder}",  # what says that it is complete reaches the disk last
        f"touch {folder}/.complete",
    ]


def _prune(release: str, opt: str, keep: int) -> list[str]:
    """Unfinished ones go, and the oldest beyond `keep`; never this one, the one that runs, or the one before it."""
    o = shlex.quote(opt)
    return [
        f"cd {o}/releases",
        f'for r in *; do [ "$r" = {release} ] || [ -e "$r/.complete" ] || rm -rf "$r"; done',
        f'kept="{release}',
        f'$(basename "$(readlink {o}/current 2>/dev/null)" 2>/dev/null || true)',
        f'$(cat {o}/previous/release 2>/dev/null || true)"',
        'here=$(printf "%s\\n" "$kept" | sort -u | while IFS= read -r r; do',
        'if [ "$r" ] && [ -d "$r" ]; then echo "$r"; fi; done)',
        f'left=$(({keep} - $(printf "%s\\n" "$here" | wc -l))); [ "$left" -ge 0 ] || left=0',
        'ls -t | grep -vxF "$here" | tail -n +$((left + 1)) | while IFS= read -r r; do rm -rf "$r"; done',
    ]
