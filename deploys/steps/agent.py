"""The agent's release on the host: installed beside the others, then `current` is switched to it by a rename."""

import shlex
from collections.abc import Callable
from pathlib import Path

from deploys.facts import Observed
from deploys.outcome import Command, Outcome, Upload, sh
from deploys.release import Release

__all__ = ["agent"]


def agent(
    release: Release, opt: str, facts: Observed, *, local: bool, keep: int, bundle: Callable[[Release], Path]
) -> Outcome:
    """Bring the release to the host where it is absent, switch to it where it is not current, forget the oldest."""
    if facts.current == release.id and release.id in facts.releases:
        return Outcome()
    commands: list[Command] = []
    notes: list[str] = []
    if release.id not in facts.releases:
        commands += _local_install(release, opt) if local else _remote_install(release, opt, facts, bundle)
        notes.append(f"install release {release.id} ({len(release.wheels)} packages)")
    commands.append(sh([*_switch(release, opt), *_prune(release, opt, keep)], timeout_s=300))
    notes.append(f"switch from {facts.current or 'nothing'} to {release.id}")
    return Outcome(commands=tuple(commands), notes=tuple(notes))


def _local_install(release: Release, opt: str) -> list[Command]:
    """On the operator's own machine the wheels are already here, and so is uv with its cache."""
    wheels = [str(path) for path in (*release.wheels, release.wheel)]
    return [sh(_install(release, opt, shlex.quote(str(release.installer)), "-r -"), stdin=wheels, timeout_s=900)]


def _remote_install(release: Release, opt: str, facts: Observed, bundle: Callable[[Release], Path]) -> list[Command]:
    incoming = f"{opt}/incoming"
    folder = f"{opt}/bundles/{release.bundle_digest}"
    commands: list[Command] = [sh([f"mkdir -p {shlex.quote(incoming)}"])]
    unpack: list[str] = []
    if release.bundle_digest not in facts.bundles:
        tar = f"{incoming}/{release.bundle_digest}.tar"
        commands.append(Upload(source=bundle(release), dest=tar))
        q = shlex.quote(folder)
        unpack = [
            f"rm -rf {shlex.quote(opt + '/bundles')}; mkdir -p {q}",
            f"tar -xf {shlex.quote(tar)} -C {q} --no-same-owner; rm -f {shlex.quote(tar)}",
            f"gunzip -f {q}/uv.gz; chmod 755 {q}/uv; touch {q}/.complete",
        ]
    wheel = f"{incoming}/{release.wheel.name}"
    commands.append(Upload(source=release.wheel, dest=wheel))
    uv = f"UV_CACHE_DIR={shlex.quote(opt + '/cache')} {shlex.quote(folder + '/uv')}"
    sources = f"{shlex.quote(folder)}/wheels/*.whl {shlex.quote(wheel)}"
    install = [*_install(release, opt, uv, sources, compile_bytecode=True), f"rm -rf {shlex.quote(incoming)}"]
    commands.append(sh(["umask 022", *unpack, *install], timeout_s=1200))
    return commands


def _install(release: Release, opt: str, uv: str, sources: str, *, compile_bytecode: bool = False) -> list[str]:
    """An environment of its own from exactly these wheels; nothing is looked up anywhere.

    Where the service may not write beside the code (systemd's ProtectSystem), the bytecode is made here.
    """
    folder = shlex.quote(f"{opt}/releases/{release.id}")
    flags = "--quiet --offline --no-config"
    compiled = " --compile-bytecode" if compile_bytecode else ""
    return [
        "umask 022",
        f"rm -rf {folder}; mkdir -p {folder}",
        f'{uv} venv {flags} --no-python-downloads --python "$(command -v python3)" {folder}/venv </dev/null',
        f"{uv} pip install {flags} --no-index --no-deps{compiled} --python {folder}/venv/bin/python {sources}",
        f"{folder}/venv/bin/livefleet --version </dev/null",
        f"touch {folder}/.complete",
    ]


def _switch(release: Release, opt: str) -> list[str]:
    current = shlex.quote(f"{opt}/current")
    return [
        f"[ -e {shlex.quote(f'{opt}/releases/{release.id}/.complete')} ]",
        f"ln -sfn releases/{release.id} {current}.new",
        f"mv -fT {current}.new {current}",
    ]


def _prune(release: Release, opt: str, keep: int) -> list[str]:
    """Unfinished ones go, and all but the newest `keep`, counting the current one."""
    return [
        f"cd {shlex.quote(opt + '/releases')}",
        f'for r in *; do [ "$r" = {release.id} ] || [ -e "$r/.complete" ] || rm -rf "$r"; done',
        f'ls -t | grep -vxF {release.id} | tail -n +{keep} | while IFS= read -r r; do rm -rf "$r"; done',
    ]
