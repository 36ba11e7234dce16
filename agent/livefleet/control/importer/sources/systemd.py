"""systemd units: `ExecStart` with continuations, `Environment`, `EnvironmentFile`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from livefleet.control.importer.findings import Finding, Outcome, Spot
from livefleet.control.importer.process import Process
from livefleet.control.importer.sources.base import Reading, Source, arguments_of, host_name, other_program, unread_file
from livefleet.control.importer.sources.docker_run import is_docker_run, read_docker_run
from livefleet.control.importer.sources.env_file import parse_env
from livefleet.control.importer.words import Dialect, Word, split_commands

__all__ = ["read_unit"]

_PREFIX: Final = re.compile(r"[@:+!|-]*")
_SECTION: Final = re.compile(r"\[([A-Za-z-]+)\]\s*")


@dataclass(frozen=True, slots=True)
class _Setting:
    section: str
    name: str
    text: str  # continuations are blanks, so that it is as long as in the source
    at: int  # index in the source


def read_unit(source: Source) -> Reading:
    """The node that a unit (drop-ins may follow in the same text) starts."""
    settings = list(_settings(source.text))
    name = host_name(PurePosixPath(source.shown).name.removesuffix(".service"))
    environment: dict[str, Word] = {}
    findings: list[Finding] = []
    for each in settings:
        if each.section != "Service":
            continue
        if each.name == "Environment":
            environment = _environment(each, source, environment)
        elif each.name == "EnvironmentFile":
            environment |= _environment_file(each, source, name, findings)
    commands = _commands(settings)
    for each in commands:
        words = _words(each, source, environment)
        if is_docker_run(words):
            reading = read_docker_run(words, source, environment)
            return Reading(reading.processes, (*findings, *reading.findings))
        arguments = arguments_of(words, environment, source)
        if arguments is None:
            if (other := other_program(words, name)) is not None:
                findings += [other, *_as_root(settings, source, name)]
            continue
        process = Process(
            name=name,
            machine=source.machine,
            spot=source.locate(each.at),
            kind="systemd",
            arguments=arguments,
            environment=environment,
            folder=source.folder,
            findings=(*findings, *_as_root(settings, source, name)),
        )
        return Reading((process,))
    return Reading(findings=tuple(findings))


def _settings(text: str) -> Iterator[_Setting]:
    section = ""
    at = 0
    lines = text.splitlines(keepends=True)
    index = 0
    while index < len(lines):
        begin, line = at, lines[index]
        at += len(line)
        index += 1
        content = line.strip()
        if not content or content[0] in "#;":
            continue
        if (found := _SECTION.fullmatch(content)) is not None:
            section = found[1]
            continue
        whole = line
        while whole.rstrip("\r\n").endswith("\\") and index < len(lines):
            following = lines[index]
            whole = _blanked(whole) + (" " * len(following) if following.lstrip()[:1] in ("#", ";") else following)
            if following.lstrip()[:1] in ("#", ";") and index + 1 < len(lines):
                whole = whole[:-1] + "\\"  # a remark among continuations does not end them
            at += len(following)
            index += 1
        name, found_sign, value = whole.partition("=")
        if found_sign:
            yield _Setting(section, name.strip(), value.rstrip(), begin + len(name) + 1)


def _blanked(line: str) -> str:
    """Without the backslash at its end, and as long."""
    body = line.rstrip("\r\n")
    return body[:-1] + " " * (len(line) - len(body) + 1)


def _commands(settings: list[_Setting]) -> list[_Setting]:
    """Commands that start the service; an empty one takes earlier ones back."""
    found: list[_Setting] = []
    for each in settings:
        if each.section == "Service" and each.name == "ExecStart":
            found = [*found, each] if each.text.strip() else []
    return found


def _words(setting: _Setting, source: Source, environment: dict[str, Word]) -> list[Word]:
    text = setting.text
    lead = len(text) - len(text.lstrip())
    prefix = _PREFIX.match(text, lead)
    assert prefix is not None  # it matches nothing as well
    blank = " " * prefix.end() + text[prefix.end() :]
    commands = split_commands(blank, lambda index: source.locate(setting.at + index), Dialect.SYSTEMD, environment)
    return commands[0] if commands else []


def _environment(setting: _Setting, source: Source, before: dict[str, Word]) -> dict[str, Word]:
    if not setting.text.strip():
        return {}
    text = setting.text.replace("$", "$$")  # variables are not filled in here
    commands = split_commands(text, lambda index: source.locate(setting.at + index), Dialect.SYSTEMD, {})
    found = dict(before)
    for word in commands[0] if commands else []:
        name, value = word.cut("=")
        if value is not None:
            found[name.text] = Word(value.parts, word.spot)
    return found


def _environment_file(setting: _Setting, source: Source, name: str, findings: list[Finding]) -> dict[str, Word]:
    path = setting.text.strip().removeprefix("-")
    found = source.companions.beside(source.folder, path) or source.companions.beside(source.folder, Path(path).name)
    if found is None:
        if not setting.text.strip().startswith("-"):  # with it systemd does without the file as well
            findings.append(unread_file(path, source.locate(setting.at), name))
        return {}
    return parse_env(found.text, found.shown)


def _as_root(settings: list[_Setting], source: Source, name: str) -> list[Finding]:
    users = [each for each in settings if each.section == "Service" and each.name == "User"]
    if users and users[-1].text.strip() not in ("root", "0", ""):
        return []
    spot: Spot = source.locate(users[-1].at) if users else source.start()
    text = "it runs as root; the agent runs as a user of its own"
    return [Finding(spot, Outcome.DANGEROUS, "User", text, name)]
