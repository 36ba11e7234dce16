"""Command lines and scripts: `livepeer ...`, `docker run ...`, or flags alone."""

import re
from pathlib import PurePosixPath
from typing import Final

from livefleet.control.importer.findings import Finding
from livefleet.control.importer.process import Process
from livefleet.control.importer.sources.base import Reading, Source, assignments, host_name, other_program, program_at
from livefleet.control.importer.sources.docker_run import is_docker_run, read_docker_run
from livefleet.control.importer.sources.env_file import parse_env
from livefleet.control.importer.words import Dialect, Word, split_commands

__all__ = ["read_shell"]

_SOURCED: Final = re.compile(r"^\s*(?:\.|source)\s+[\"']?([^\s\"';&|]+)", re.MULTILINE)
_PROMPT: Final = re.compile(r"^(\s*)[$#>] (?=\S)", re.MULTILINE)


def read_shell(source: Source) -> Reading:
    """Every node that a script starts."""
    text = (
        _PROMPT.sub(lambda found: found[1] + "  ", source.text)
        if source.text.lstrip().startswith("$ ")
        else source.text
    )
    known: dict[str, Word] = {}
    for name in _SOURCED.findall(text):
        found = source.companions.beside(source.folder, name)
        if found is not None:
            known |= parse_env(found.text, found.shown)
    exports_all = re.search(r"^\s*set\s+-[a-z]*a|^\s*set\s+-o\s+allexport", text, re.MULTILINE) is not None
    exported: dict[str, Word] = dict(known) if exports_all else {}
    processes: list[Process] = []
    findings: list[Finding] = []
    stem = host_name(PurePosixPath(source.shown).stem)
    for command in split_commands(text, source.locate, Dialect.SHELL, known):
        own, rest = assignments(command)
        if not rest or rest[0].text == "export":
            more = assignments(rest[1:])[0] if rest else own
            exported |= more if rest or exports_all else {}
            continue
        if is_docker_run(rest):
            reading = read_docker_run(rest, source, {**exported, **own})
            processes += reading.processes
            findings += reading.findings
            continue
        at = program_at(rest)
        if at is None:
            if (finding := other_program(rest)) is not None:
                findings.append(finding)
            continue
        prefix = assignments(rest[1:at])[0] if at > 0 and rest[0].text == "env" else {}
        processes.append(
            Process(
                name=stem if not processes else f"{stem}-{len(processes) + 1}",
                machine=source.machine,
                spot=rest[0].spot,
                kind="argv",
                arguments=tuple(rest[at + 1 :]),
                environment={**exported, **own, **prefix},
                folder=source.folder,
            )
        )
    return Reading(tuple(processes), tuple(findings))
