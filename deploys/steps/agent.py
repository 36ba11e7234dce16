"""The agent's release on the host: installed beside the others. `config` switches to it."""

import shlex
from collections.abc import Callable
from pathlib import Path

from deploys.facts import Observed
from deploys.outcome import Command, Outcome, Upload, sh
from deploys.release import Release
from deploys.steps.files import alone

__all__ = ["agent"]


def agent(
    release: Release, opt: str, facts: Observed, *, local: bool, keep: int, bundle: Callable[[Release], Path]
) -> Outcome:
    """Bring the release to the host where it is absent, and forget the oldest. What runs is left alone."""
    if release.id in facts.releases:
        return Outcome()
    install = _local_install(release, opt) if local else _remote_install(release, opt, facts, bundle)
    commands = (*install, sh(_prune(release, opt, keep), timeout_s=300))
    return Outcome(commands=commands, notes=(f"install release {release.id} ({len(release.wheels)} packages)",))


def _local_install(release: Release, opt: str) -> list[Command]:
    """On the operator's own machine the wheels are already here, and so is uv with its cache."""
    wheels = [str(path) for path in (*release.wheels, release.wheel)]
    return [sh(_install(release, opt, shlex.quote(str(release.installer)), "-r -"), stdin=wheels, timeout_s=900)]


def _remote_install(release: Release, opt: str, facts: Observed, bundle: Callable[[Release], Path]) -> list[Command]:
    incoming = f"{opt}/incoming"
    folder = f"{opt}/bundles/{release.bundle_digest}"
    commands: list[Command] = [sh([f"rm -rf {shlex.quote(incoming)}; mkdir -p {shlex.quote(incoming)}"])]
    unpack: list[str] = []
    if release.bundle_digest not in facts.bundles:
        tar = f"{incoming}/{release.bundle_digest}.tar"
        commands.append(Upload(source=bundle(release), dest=tar))
        q = shlex.quote(folder)
        unpack = [
            f"rm -rf {shlex.quote(opt + '/bundles')}; mkdir -p {q}",
            f'bundle={q}; trap \'[ -e "$bundle/.complete" ] || rm -rf "$bundle"\' EXIT',
            f"tar -xf {shlex.quote(tar)} -C {q} --no-same-owner; rm -f {shlex.quote(tar)}",
            f"gunzip -f {q}/uv.gz; chmod 755 {q}/uv; sync -f {q}; touch {q}/.complete",
        ]
    wheel = f"{incoming}/{release.wheel.name}"
    commands.append(Upload(source=release.wheel, dest=wheel))
    uv = f"UV_CACHE_DIR={shlex.quote(opt + '/cache')} {shlex.quote(folder + '/uv')}"
    sources = f"{shlex.quote(folder)}/wheels/*.whl {shlex.quote(wheel)}"
    install = [
        *_install(release, opt, uv, sources, bundle=shlex.quote(folder), compile_bytecode=True),
        f"rm -rf {shlex.quote(incoming)}",
    ]
    commands.append(sh(["umask 022", *unpack, *install], timeout_s=1200))
    return commands


def _install(
    release: Release, opt: str, uv: str, sources: str, *, bundle: str = "/nonexistent", compile_bytecode: bool = False
) -> list[str]:
    """An environment of its own from exactly these wheels; nothing is looked up anywhere.

    Where the service may not write beside the code (systemd's ProtectSystem), the bytecode is made here.
    """
    folder = shlex.quote(f"{opt}/releases/{release.id}")
    flags = "--quiet --offline --no-config"
    compiled = " --compile-bytecode" if compile_bytecode else ""
    return [
        "umask 022",
        *alone(f"{opt}/install.lock"),
        f"rm -rf {folder}; mkdir -p {folder}",
        # Where the disk is full, what runs needs the room; and wheels that do not install are sent again.
        f"release={folder}; bundle={bundle}",
        'forget() { [ -e "$release/.complete" ] || rm -rf "$release" "$bundle/.complete"; }; trap forget EXIT',
        f'{uv} venv {flags} --no-python-downloads --python "$(command -v python3)" {folder}/venv </dev/null',
        f"{uv} pip install {flags} --no-index --no-deps{compiled} --python {folder}/venv/bin/python {sources}",
        f"{folder}/venv/bin/livefleet --version </dev/null",
        f"sync -f {folder}",  # what says that it is complete reaches the disk last
        f"touch {folder}/.complete",
    ]


def _prune(release: Release, opt: str, keep: int) -> list[str]:
    """Unfinished ones go, and the oldest beyond `keep`; never this one, the one that runs, or the one before it."""
    o = shlex.quote(opt)
    return [
        f"cd {o}/releases",
        f'for r in *; do [ "$r" = {release.id} ] || [ -e "$r/.complete" ] || rm -rf "$r"; done',
        f'kept="{release.id}',
        f'$(basename "$(readlink {o}/current 2>/dev/null)" 2>/dev/null || true)',
        f'$(cat {o}/previous/release 2>/dev/null || true)"',
        'here=$(printf "%s\\n" "$kept" | sort -u | while IFS= read -r r; do',
        'if [ "$r" ] && [ -d "$r" ]; then echo "$r"; fi; done)',
        f'left=$(({keep} - $(printf "%s\\n" "$here" | wc -l))); [ "$left" -ge 0 ] || left=0',
        'ls -t | grep -vxF "$here" | tail -n +$((left + 1)) | while IFS= read -r r; do rm -rf "$r"; done',
    ]
