"""The programs of monitoring: installed, given their files, started.

A program's new files are written into a copy of its folder, where `promtool` or `amtool` reads them as the program
would; then each is renamed into its place. Only a program whose start has changed is restarted, and only one whose
files have changed is told to read them; lists of targets it looks at by itself.
"""

import hashlib
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from deploys.facts import Observed
from deploys.outcome import Outcome, refuse, sh
from deploys.steps.files import HostFile, changed_files, difference, put_script
from livefleet.monitoring import UNITS, Program, Source, drop_in_path, unfit
from livefleet.spec import NodeSpec

__all__ = ["DROP_INS", "forget_programs", "missing_packages", "monitoring", "program_files"]

DROP_INS: Final = tuple(drop_in_path(unit) for unit in UNITS.values())
"""What says that a program is livefleet's to run. None holds a secret."""

_FOLDER: Final = "/etc/livefleet/monitor"
_STAMPS: Final = "/opt/livefleet/monitor"
_NEW: Final = ".livefleet-new"
_DRIVER_FILES: Final = Path(__file__).parent.parent / "files/driver_files.sh"

_KEY_URL: Final = "https://apt.grafana.com/gpg.key"
_FINGERPRINT: Final = "B53AE77BADB630A683046005963FA27710458545"
_KEY: Final = "/etc/apt/keyrings/livefleet-grafana.gpg"
_SOURCES: Final = "/etc/apt/sources.list.d/livefleet-grafana.list"
_CAREFULLY: Final = "-o DPkg::Lock::Timeout=180 -o Dpkg::Options::=--force-confold"
_SOURCE: Final = f"deb [signed-by={_KEY}] https://apt.grafana.com stable main"


def missing_packages(programs: Sequence[Program], facts: Observed) -> list[str]:
    """Packages of the distribution that have to be installed first."""
    return [program.package for program in programs if _is_missing(program, Source.DISTRIBUTION, facts)]


def program_files(program: Program, secrets: Mapping[str, bytes]) -> tuple[HostFile, ...]:
    """All that it starts from. `secrets`: contents by path on the host."""
    files = [HostFile(program.drop_in_path, program.drop_in.encode(), 0o644, None, secret=False)]
    for path, text in program.files.items():
        files.append(HostFile(f"{program.folder}/{path}", text.encode(), 0o644, None, secret=False))
    for path in program.secrets:
        at = f"{program.folder}/{path}"
        files.append(HostFile(at, secrets[at], 0o600, program.user, secret=True))
    return tuple(files)


def monitoring(programs: Sequence[Program], secrets: Mapping[str, bytes], node: NodeSpec, facts: Observed) -> Outcome:
    """Bring each program to what is declared, and take away what is livefleet's and declared no more."""
    if (problem := unfit(node, programs, systemd=facts.systemd)) is not None:
        return refuse(problem)
    if others := [program.unit for program in programs if _is_others(program, facts)]:
        return refuse(
            f"{', '.join(others)} runs here with settings that are not livefleet's, which would count no more:"
            f" `systemctl disable --now {' '.join(others)}` and apply again, or leave it out of the fleet file"
        )
    lines: list[str] = []
    stdin: list[str] = []
    notes: list[str] = []
    diff: list[str] = []
    if foreign := [program for program in programs if _is_missing(program, Source.GRAFANA_LABS, facts)]:
        if not facts.apt:
            names = ", ".join(program.package for program in foreign)
            return refuse(f"{names} come from Grafana Labs' package source for apt, and there is no apt-get here")
        lines += _install(foreign)
        notes.append(f"install {', '.join(program.package for program in foreign)} from https://apt.grafana.com")
    wanted = {program.unit for program in programs}
    gone = [name for name, unit in UNITS.items() if unit not in wanted and drop_in_path(unit) in facts.files]
    if gone:
        lines += _take_away(gone)
        notes.append(f"stop {', '.join(gone)}: declared no more")
    for program in programs:
        done = _brought(program, program_files(program, secrets), facts)
        if done is not None:
            lines += done[0]
            stdin += done[1]
            notes += done[2]
            diff += done[3]
    if not lines:
        return Outcome()
    return Outcome(commands=(sh(lines, stdin=stdin, timeout_s=1200),), notes=tuple(notes), diff=tuple(diff))


def forget_programs() -> list[str]:
    """Shell lines that leave nothing of it behind; the programs' packages and their data stay."""
    each = []
    for unit in UNITS.values():
        drop_in = drop_in_path(unit)
        away = f"rm -f {drop_in}; rmdir {_parent(drop_in)} 2>/dev/null || true; systemctl daemon-reload"
        each.append(f"if [ -e {drop_in} ]; then systemctl disable --now --quiet {unit} || true; {away}; fi")
    return [*each, f"rm -rf {_FOLDER} {_STAMPS} {_SOURCES} {_KEY}"]


def _brought(
    program: Program, files: tuple[HostFile, ...], facts: Observed
) -> tuple[list[str], list[str], list[str], Sequence[str]] | None:
    """Shell lines, their stdin, notes and the difference; None where all is as declared."""
    changed = changed_files(files, facts)
    started, read = _digests(program, files)
    stamp = facts.stamps.get(program.name, ("", ""))
    found = facts.programs.get(program.unit)
    is_up = found is not None and found.active and found.enabled
    restarts = not is_up or stamp[0] != started
    reads = stamp[1] != read
    if not (changed or restarts or reads):
        return None
    lines, stdin = _put(program, files, changed)
    notes = [f"write {file.path}" for file in changed]
    if any(file.path == program.drop_in_path for file in changed):
        lines.append("systemctl daemon-reload")
    if restarts or (reads and not program.reloads):
        notes.append(f"{'restart' if found is not None and found.active else 'start'} {program.name}")
        lines += _start(program)
    elif reads:
        notes.append(f"tell {program.name} to read its files")
        lines.append(f"systemctl reload {program.unit}")
    lines.append(f"umask 022; mkdir -p {_STAMPS}; printf '%s\\n' '{started} {read}' > {_STAMPS}/{program.name}")
    shown = [file for file in changed if not file.path.startswith(f"{program.folder}/dashboards/")]
    return lines, stdin, notes, difference(shown, facts)


def _put(program: Program, files: Sequence[HostFile], changed: Sequence[HostFile]) -> tuple[list[str], list[str]]:
    """The changed files in their places, once the program's own tool has read all of them together."""
    inside = [file for file in changed if file.path.startswith(f"{program.folder}/")]
    others = [file for file in changed if file not in inside]
    lines: list[str] = []
    stdin: list[str] = []
    if program.files:
        folder, staged = program.folder, f"{program.folder}{_NEW}"
        named = [file.path.removeprefix(f"{folder}/") for file in files if file.path.startswith(f"{folder}/")]
        folders = sorted({f"{root}/{path}".rpartition("/")[0] for root in (folder, staged) for path in named})
        put, stdin = put_script([replace(file, path=file.path.replace(folder, staged, 1)) for file in inside])
        here = " ".join(f"! -path {shlex.quote('./' + path)}" for path in named)
        checks = [f"(cd {staged} && {check} >/dev/null) || {_end(program, check)}" for check in program.checks]
        lines += [
            f"umask 022; rm -rf {staged}; mkdir -p {folder}; cp -a {folder} {staged}; mkdir -p {' '.join(folders)}",
            *put,
            f"(cd {staged} && find . -type f {here} -delete)",
            *checks,
            *(f"mv -f {shlex.quote(file.path.replace(folder, staged, 1))} {shlex.quote(file.path)}" for file in inside),
            f"rm -rf {staged}",
            f"(cd {folder} && find . -type f {here} -delete)",
        ]
    if others:
        put, more = put_script(others)
        lines += ["umask 022", *(f"mkdir -p {_parent(file.path)}" for file in others), *put]
        stdin = [*stdin, *more]
    return lines, stdin


def _end(program: Program, check: str) -> str:
    text = f"{program.name}: `{check}` does not take the new files; what runs stays as it is"
    return f"{{ echo {shlex.quote(text)} >&2; exit 1; }}"


def _start(program: Program) -> list[str]:
    unit = program.unit
    log = f"journalctl --unit {unit} --lines 20 --no-pager --output cat >&2"
    return [
        f"systemctl enable --quiet {unit}",
        f"systemctl reset-failed {unit} 2>/dev/null || true",
        f"systemctl restart {unit} || {{ echo '{unit} does not start; its last lines:' >&2; {log}; exit 1; }}",
    ]


def _take_away(names: Sequence[str]) -> list[str]:
    lines = []
    for name in names:
        unit, drop_in = UNITS[name], drop_in_path(UNITS[name])
        lines += [
            f"systemctl disable --now --quiet {unit} || true",
            f"rm -f {drop_in}; rmdir {_parent(drop_in)} 2>/dev/null || true",
            f"rm -rf {_FOLDER}/{name} {_STAMPS}/{name}",
        ]
    return [*lines, "systemctl daemon-reload"]


def _install(programs: Sequence[Program]) -> list[str]:
    """From Grafana Labs' own source, whose key is known by its fingerprint; no other source is read anew."""
    names = " ".join(program.package for program in programs)
    units = " ".join(program.unit for program in programs)
    only = f"-o Dir::Etc::sourcelist={_SOURCES} -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0"
    return [
        "export DEBIAN_FRONTEND=noninteractive",
        "save() { :; }",
        *_trust_function(),
        shlex.join(["trust", _KEY_URL, _FINGERPRINT, _KEY]),
        f"umask 022; printf '%s\\n' {shlex.quote(_SOURCE)} > {_SOURCES}",
        f"apt-get -q {only} update",
        f"apt-get -q -y {_CAREFULLY} install --no-install-recommends {names}",
        f"systemctl stop {units} 2>/dev/null || true",
    ]


def _trust_function() -> Iterator[str]:
    lines = iter(_DRIVER_FILES.read_text().splitlines())
    for line in lines:
        if line.startswith("trust()"):
            yield line
            break
    for line in lines:
        yield line
        if line == "}":
            return


def _digests(program: Program, files: Sequence[HostFile]) -> tuple[str, str]:
    """Of what it is started with, and of what it is told to read: of files that it looks at by itself the names."""
    watched = tuple(f"{program.folder}/{folder}/" for folder in program.watched)
    start = [file for file in files if file.path == program.drop_in_path]
    others = (file for file in files if file not in start)
    read = [f"{file.path} {'' if file.path.startswith(watched) else file.sha256}" for file in others]
    return _digest(file.sha256 for file in start), _digest(read)


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _is_others(program: Program, facts: Observed) -> bool:
    """Whether somebody has set it up by himself: it runs, and was never brought here."""
    found = facts.programs.get(program.unit)
    is_ours = program.drop_in_path in facts.files or program.name in facts.stamps
    return found is not None and found.active and not is_ours


def _is_missing(program: Program, source: Source, facts: Observed) -> bool:
    return program.source is source and program.unit not in facts.programs


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
