"""The way in: sources to a fleet file with its report."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Final, assert_never

from livefleet.control.importer.companions import Companions
from livefleet.control.importer.detect import SourceKind, detect
from livefleet.control.importer.findings import Finding, Outcome, Report, Spot
from livefleet.control.importer.fleet import Composed, Wishes, compose
from livefleet.control.importer.process import Process
from livefleet.control.importer.settings import ENV_PREFIX, Settings, config_words, settle
from livefleet.control.importer.sources.base import Reading, Source
from livefleet.control.importer.sources.compose import read_compose
from livefleet.control.importer.sources.config_file import read_config
from livefleet.control.importer.sources.docker_inspect import read_docker_inspect
from livefleet.control.importer.sources.env_file import read_env
from livefleet.control.importer.sources.kubernetes import read_kubernetes
from livefleet.control.importer.sources.shell import read_shell
from livefleet.control.importer.sources.siphon import read_siphon
from livefleet.control.importer.sources.systemd import read_unit
from livefleet.control.importer.tree import write_tree
from livefleet.control.importer.words import Word
from livefleet.spec import Problem, SpecError
from livefleet.spec.assemble import assemble
from livefleet.spec.document import parse_document
from livefleet.spec.profile import ProfileFolders

__all__ = ["Given", "Imported", "import_nodes"]

_KNOWN: Final = ", ".join(kind.value for kind in SourceKind if not kind.is_companion)


@dataclass(frozen=True, slots=True)
class Given:
    """One source as it is given."""

    shown: str  # its name in messages
    text: str = field(repr=False)
    folder: Path = Path()  # where relative names in it begin
    kind: SourceKind | None = None  # None: by its content


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of it."""

    fleet: str = field(repr=False)  # the fleet file; empty: there is no host
    hosts: tuple[str, ...]
    report: Report
    secrets: Mapping[str, str] = field(repr=False)  # found in plain text: file name to text
    kinds: Mapping[str, str]  # of each source


def import_nodes(given: Sequence[Given], wishes: Wishes) -> Imported:
    """Read sources as one fleet. Raises SpecError where a source cannot be read or nothing in it is recognised."""
    kinds = {each.shown: each.kind or _detected(each) for each in given}
    companions = Companions({each.shown: each.text for each in given})
    readings = [
        _read(Source(each.shown, each.text, each.folder, companions, machine=each.shown), kinds[each.shown])
        for each in given
        if not kinds[each.shown].is_companion
    ]
    processes = _with_own_names(_joined([process for reading in readings for process in reading.processes], companions))
    findings = [finding for reading in readings for finding in reading.findings]
    started = [(process, _settled(process, companions)) for process in processes]
    if not started and not findings:
        first = given[0]
        hint = "give the command, unit, compose file or manifest that starts go-livepeer"
        raise SpecError([Problem(first.shown, 1, 1, "starts no go-livepeer", hint)])
    composed = compose(started, companions, wishes)
    findings += [*composed.findings, *_unread(given, kinds, companions, processes)]
    findings += _refused(composed, given[0].shown)
    report = Report(tuple(dict.fromkeys(sorted(findings))))
    fleet = write_tree(composed.tree, _head(kinds, composed, report)) if composed.tree else ""
    shown = {name: kind.value for name, kind in kinds.items()}
    return Imported(fleet, composed.hosts, report, composed.secrets, shown)


def _detected(given: Given) -> SourceKind:
    kind = detect(given.text)
    if kind is None:
        what = "is empty" if not given.text.strip() else "is nothing that is recognised"
        raise SpecError([Problem(given.shown, 1, 1, what, f"say what it is by `--kind`: {_KNOWN}")])
    return kind


def _read(source: Source, kind: SourceKind) -> Reading:
    match kind:
        case SourceKind.ARGV:
            return read_shell(source)
        case SourceKind.ENV:
            return read_env(source)
        case SourceKind.CONFIG:
            return read_config(source)
        case SourceKind.SYSTEMD:
            return read_unit(source)
        case SourceKind.COMPOSE:
            return read_compose(source)
        case SourceKind.DOCKER_INSPECT:
            return read_docker_inspect(source)
        case SourceKind.KUBERNETES:
            return read_kubernetes(source)
        case SourceKind.SIPHON:
            return read_siphon(source)
        case SourceKind.POOL_MANAGER:
            text = "a pool manager: it pays workers, and is no node; the fleet's own books are `livefleet report`"
            return Reading(findings=(Finding(source.start(), Outcome.NO_COUNTERPART, source.shown, text),))
        case SourceKind.AI_MODELS | SourceKind.PRICES:
            return Reading()
        case _:
            assert_never(kind)


def _joined(processes: list[Process], companions: Companions) -> list[Process]:
    """Environment and config files that were given beside the process that they are for are parts of it."""
    started = [process for process in processes if process.kind not in ("env", "config")]
    files = [process for process in processes if process.kind in ("env", "config")]
    if not started:
        return _alone(files)
    left: list[Process] = []
    for file in files:
        if file.spot.file in companions.used or _config_of(started, file.spot.file):
            continue
        if len(started) > 1:
            left.append(file)
            continue
        if file.kind == "env":
            started[0] = replace(started[0], environment={**file.environment, **started[0].environment})
        else:
            started[0] = replace(started[0], config=file.config, config_file=file.config_file)
        companions.used.add(file.spot.file)
    return [*started, *left]


def _alone(files: list[Process]) -> list[Process]:
    """One environment and one config file are one node; more of a kind are a node each."""
    environments = [file for file in files if file.kind == "env"]
    configs = [file for file in files if file.kind == "config"]
    if len(environments) == 1 and len(configs) == 1:
        return [replace(configs[0], environment=environments[0].environment)]
    return files


def _config_of(started: list[Process], shown: str) -> bool:
    name = PurePosixPath(shown).name
    return any(
        PurePosixPath(word.text.partition("=")[2] or word.text).name == name
        for process in started
        for word in (*process.arguments, process.environment.get(f"{ENV_PREFIX}CONFIG", Word((), process.spot)))
    )


def _settled(process: Process, companions: Companions) -> Settings:
    config = process.config
    first = settle(process.name, process.arguments, process.environment, config or {})
    said = first.get("config")
    if said is None:
        return first
    if said.value.known is None:
        return _without_config(first, said.spot, process, f"{said.value.text} is known on the machine only")
    found = companions.read(process, said.value.known)
    if found is None:
        text = f"`{said.value.known}` cannot be read here: name the file as a further source"
        return _without_config(first, said.spot, process, text)
    words = dict(config_words(found.text, found.shown))
    settings = settle(process.name, process.arguments, process.environment, {**(config or {}), **words})
    settings.findings.append(
        Finding(said.spot, Outcome.TAKEN, said.shown, f"its lines, in {found.shown}", process.name)
    )
    settings.said.pop("config")
    return settings


def _without_config(settings: Settings, spot: Spot, process: Process, text: str) -> Settings:
    settings.findings.append(Finding(spot, Outcome.TO_DO, "-config", text, process.name))
    settings.findings.append(
        Finding(spot, Outcome.NO_COUNTERPART, "-config", "its lines are not taken over", process.name)
    )
    settings.said.pop("config")
    return settings


def _with_own_names(processes: list[Process]) -> list[Process]:
    taken: set[str] = set()
    named = []
    for process in processes:
        name, number = process.name, 2
        while name in taken:
            name, number = f"{process.name[:59]}-{number}", number + 1
        taken.add(name)
        named.append(replace(process, name=name))
    return named


def _unread(
    given: Sequence[Given], kinds: Mapping[str, SourceKind], companions: Companions, processes: list[Process]
) -> list[Finding]:
    """Sources that nobody has asked for."""
    own = {process.spot.file for process in processes}
    return [
        Finding(
            Spot(each.shown),
            Outcome.TO_DO,
            each.shown,
            f"no process names this {kinds[each.shown]} file: not taken over",
        )
        for each in given
        if each.shown not in companions.used
        and (
            kinds[each.shown].is_companion
            or (kinds[each.shown] in (SourceKind.ENV, SourceKind.CONFIG) and each.shown not in own)
        )
    ]


def _refused(composed: Composed, shown: str) -> list[Finding]:
    """What the spec itself has against the fleet: nothing, unless a source said what no fleet can."""
    if not composed.tree:
        return []
    try:
        assemble(parse_document(write_tree(composed.tree), "fleet.yaml"), ProfileFolders([]))
    except SpecError as error:
        return [
            Finding(
                Spot(shown),
                Outcome.TO_DO,
                problem.path or "fleet file",
                "; ".join(filter(None, [problem.message, problem.hint])),
            )
            for problem in error.problems
        ]
    return []


def _head(kinds: Mapping[str, SourceKind], composed: Composed, report: Report) -> str:
    sources = ", ".join(f"{name} ({kind.value})" for name, kind in kinds.items())
    lines = [f"Imported from {sources}.", "Each value has the flag that it came from beside it."]
    todo = [finding for finding in report.of(Outcome.TO_DO) if not re.search(r"\n", finding.text)]
    if todo:
        lines += ["", "To do before `livefleet apply`:"]
        lines += [f"- {finding.process + ': ' if finding.process else ''}{finding.text}" for finding in todo]
    if composed.secrets:
        lines += ["", "Secrets in plain text have become references; `--secrets FOLDER` writes their files."]
    return "\n".join(lines) + "\n"
