"""What go-livepeer would make of a process's command line, environment and config file, by its own rules.

Flags win over `LP_` variables, these over the config file. Go reads flags up to the first word that is none, so that
`-reward false` switches reward on and hides every later flag: that is told, and read as go-livepeer reads it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from livefleet.control.importer.findings import Finding, Outcome, Spot
from livefleet.control.importer.flags import Fate, Flag, FlagKind, flags, near_flag
from livefleet.control.importer.words import Word

__all__ = ["ENV_PREFIX", "Said", "Settings", "Source", "config_words", "said_by_arguments", "settle"]

ENV_PREFIX: Final = "LP_"
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_INT: Final = re.compile(r"[+-]?(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]+|[0-9][0-9_]*)")
_DURATION: Final = re.compile(r"[+-]?(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+")
_FLOAT: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_FORMS: Final[Mapping[FlagKind, tuple[str, Callable[[str], object]]]] = {
    FlagKind.BOOL: ("`true` or `false`", (_TRUE | _FALSE).__contains__),
    FlagKind.INT: ("whole number", _INT.fullmatch),
    FlagKind.FLOAT: ("number", _FLOAT.fullmatch),
    FlagKind.DURATION: ("time such as `30s`", _DURATION.fullmatch),
    FlagKind.TEXT: ("text", lambda _: True),
}


class Source(StrEnum):
    """Where a value is said."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    CONFIG = "config"


@dataclass(frozen=True, slots=True)
class Said:
    """One flag with its value."""

    flag: Flag
    value: Word
    spot: Spot
    source: Source

    @property
    def shown(self) -> str:
        """The flag as it is written there."""
        match self.source:
            case Source.FLAG:
                return f"-{self.flag.name}"
            case Source.ENVIRONMENT:
                return f"{ENV_PREFIX}{self.flag.name.upper()}"
            case Source.CONFIG:
                return self.flag.name

    @property
    def is_true(self) -> bool:
        """Whether a flag that is either on or off is on."""
        return self.value.text in _TRUE

    @property
    def origin(self) -> str:
        """`-ethUrl, run.sh:3`, for comments."""
        return f"{self.shown}, {self.spot.file}:{self.spot.line}"


@dataclass(slots=True)
class Settings:
    """What counts, by name, and what was found on the way."""

    said: dict[str, Said] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def get(self, name: str) -> Said | None:
        """What is said; None where nothing is, or an empty text, which go-livepeer takes for nothing."""
        found = self.said.get(name)
        return None if found is None or not found.value.parts else found

    def is_on(self, name: str, default: bool = False) -> bool:
        """Whether a flag that is either on or off is on."""
        found = self.said.get(name)
        return default if found is None else found.is_true

    def text(self, name: str, default: str = "") -> str:
        """The text, with holes as somebody would write them."""
        found = self.get(name)
        return default if found is None else found.value.text


def settle(
    process: str, arguments: tuple[Word, ...], environment: Mapping[str, Word], config: Mapping[str, Word]
) -> Settings:
    """Merge the three sources. Wrong, unknown and overridden ones become findings."""
    settings = Settings()
    layers = (
        said_by_arguments(process, arguments, settings.findings),
        _said_by_environment(process, environment, settings.findings),
        _said_by_config(process, config, settings.findings),
    )
    for layer in layers:
        within: dict[str, Said] = {}
        for said in layer:
            name = "dataDir" if said.flag.name == "datadir" else said.flag.name
            if (stronger := settings.said.get(name)) is not None:
                settings.findings.append(_overridden(process, said, stronger))
                continue
            if (earlier := within.get(name)) is not None:
                settings.findings.append(_overridden(process, earlier, said))
            within[name] = said
        settings.said |= within
    return settings


def said_by_arguments(process: str, arguments: tuple[Word, ...], findings: list[Finding]) -> Iterator[Said]:
    """Flags of a command line, as Go's `flag` package reads them."""
    words = list(arguments)
    index = 0
    while index < len(words):
        word = words[index]
        text = word.text
        if len(text) < 2 or not text.startswith("-") or text == "--":
            yield from _after_the_end(process, words[index:], words[index - 1] if index else None, findings)
            return
        index += 1
        name, value = word.cut("=")
        flag = flags().get(name.text.lstrip("-")) if name.text.count("-", 0, 2) else None
        shown = "-" + name.text.lstrip("-")
        if flag is None:
            findings.append(_unknown(process, shown, word.spot, "go-livepeer ends with an error over it"))
            if value is None and index < len(words) and not words[index].text.startswith("-"):
                index += 1  # most likely its value; never shown
            continue
        if value is None and flag.kind is FlagKind.BOOL:
            value = Word(("true",), word.spot)
        elif value is None:
            if index == len(words):
                findings.append(Finding(word.spot, Outcome.DEAD, shown, "needs a value and has none", process))
                return
            value = words[index]
            index += 1
        said = Said(flag, value, word.spot, Source.FLAG)
        if _is_right(process, said, findings):
            yield said


def config_words(text: str, file: str) -> Iterator[tuple[str, Word]]:
    """The lines of a config file: `key value`, a key alone is `true`, `#` begins a remark."""
    for number, line in enumerate(text.splitlines(), 1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        spot = Spot(file, number, len(line) - len(line.lstrip()) + 1)
        name, _, value = content.partition(" ")
        value = value.partition(" #")[0].strip()
        yield name, Word((value or "true",), spot)


def _after_the_end(process: str, rest: list[Word], before: Word | None, findings: list[Finding]) -> Iterator[Said]:
    """Words that go-livepeer never reads."""
    first = rest[0]
    flag = flags().get(before.text.lstrip("-")) if before is not None else None
    if flag is not None and flag.kind is FlagKind.BOOL:
        is_off = first.text in _FALSE
        lost = f", and hides the {len(rest) - 1} words after it" if len(rest) > 1 else ""
        text = (
            f"`-{flag.name} {first.text}` is not how Go reads it: the flag is on{lost}; write "
            f"`-{flag.name}={'false' if is_off else 'true'}`"
        )
        findings.append(Finding(first.spot, Outcome.DANGEROUS, f"-{flag.name}", text, process))
    else:
        text = "go-livepeer reads no flag from this word on" + ("" if len(rest) == 1 else f" ({len(rest)} words)")
        findings.append(Finding(first.spot, Outcome.DANGEROUS, "arguments", text, process))
    for word in rest:
        name = word.cut("=")[0].text.lstrip("-")
        if word.text.startswith("-") and (found := flags().get(name)) is not None:
            text = "never read: a word before it ends the flags"
            findings.append(Finding(word.spot, Outcome.OVERRIDDEN, f"-{found.name}", text, process))
    yield from ()


def _said_by_environment(process: str, environment: Mapping[str, Word], findings: list[Finding]) -> Iterator[Said]:
    by_variable = {f"{ENV_PREFIX}{name.upper()}": flag for name, flag in flags().items()}
    for name, value in environment.items():
        if not name.startswith(ENV_PREFIX) or not value.parts:
            continue
        flag = by_variable.get(name)
        if flag is None:
            near = near_flag(name.removeprefix(ENV_PREFIX).replace("_", ""))
            spelled = f"; the variable is {_variable_of(near)}" if near else ""
            text = f"no flag has this variable, and go-livepeer passes over it in silence{spelled}"
            findings.append(Finding(value.spot, Outcome.UNKNOWN, name, text, process))
            continue
        said = Said(flag, value, value.spot, Source.ENVIRONMENT)
        if _is_right(process, said, findings):
            yield said


def _variable_of(near: str) -> str:
    found = re.search(r"`-?([A-Za-z]+)`", near)
    return f"{ENV_PREFIX}{found[1].upper()}" if found else near


def _said_by_config(process: str, config: Mapping[str, Word], findings: list[Finding]) -> Iterator[Said]:
    for name, value in config.items():
        flag = flags().get(name)
        if flag is None:
            where = f" `{name.lstrip('-')}` without a dash" if name.startswith("-") else ""
            text = "go-livepeer ends with an error over it" + (f"; a config file has{where}" if where else "")
            findings.append(_unknown(process, name, value.spot, text))
            continue
        said = Said(flag, value, value.spot, Source.CONFIG)
        if _is_right(process, said, findings):
            yield said


def _is_right(process: str, said: Said, findings: list[Finding]) -> bool:
    """Whether go-livepeer can read the value. A removed flag is told of by its own row."""
    text = said.value.known
    if said.flag.fate is Fate.REMOVED:
        findings.append(Finding(said.spot, Outcome.DEAD, said.shown, said.flag.text, process))
        return False
    what, is_right = _FORMS[said.flag.kind]
    if text is None or is_right(text):
        return True
    message = f"is no {what}: go-livepeer ends with an error over it; correct it, then import again"
    findings.append(Finding(said.spot, Outcome.DEAD, said.shown, f"`{text[:40]}` {message}", process))
    return False


def _unknown(process: str, shown: str, spot: Spot, text: str) -> Finding:
    near = near_flag(shown.lstrip("-"))
    return Finding(spot, Outcome.UNKNOWN, shown, "; ".join(filter(None, [text, near])), process)


def _overridden(process: str, said: Said, by: Said) -> Finding:
    text = f"{by.shown} at {by.spot.file}:{by.spot.line} counts in its place"
    return Finding(said.spot, Outcome.OVERRIDDEN, said.shown, text, process)
