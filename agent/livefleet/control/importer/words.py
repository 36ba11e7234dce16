"""Command lines as words: quotes and backslashes taken away, and holes left where only the machine knows the text.

Four programs write and read them: a shell, docker compose (which fills in variables before anything is split),
Kubernetes (`$(NAME)`) and systemd. A hole is a variable, a file's content (`$(cat FILE)`) or a command's output.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from livefleet.control.importer.findings import Spot
from livefleet.spec import Problem, SpecError

__all__ = ["Dialect", "Hole", "HoleKind", "Word", "expand", "literal", "split_commands"]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BRACED: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-?+=])([^{}]*))?\}")
_KUBERNETES: Final = re.compile(r"\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
_CAT: Final = re.compile(r"\s*(?:cat\s+|<\s*)(?:'([^']+)'|\"([^\"]+)\"|([^\s'\"$|;&<>]+))\s*\Z")
_OPERATORS: Final = frozenset(";&|()<>\n")
_MAX_WORDS: Final = 20_000
_QUOTE_HINT: Final = "close it, or put a backslash before a quote that is meant as a letter"


class Dialect(StrEnum):
    """Whose rules a text follows."""

    SHELL = "shell"
    COMPOSE = "compose"
    KUBERNETES = "kubernetes"
    SYSTEMD = "systemd"


class HoleKind(StrEnum):
    """What would fill a hole."""

    VARIABLE = "variable"
    FILE = "file"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Hole:
    """A part of a word whose text is not here."""

    kind: HoleKind
    name: str  # of the variable or file, or the command as written

    @property
    def shown(self) -> str:
        """As somebody would write it."""
        match self.kind:
            case HoleKind.VARIABLE:
                return f"${{{self.name}}}"
            case HoleKind.FILE:
                return f"$(cat {self.name})"
            case HoleKind.COMMAND:
                return f"$({self.name})"


Part = str | Hole


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command, and where it begins."""

    parts: tuple[Part, ...]
    spot: Spot

    @property
    def text(self) -> str:
        """With holes as somebody would write them."""
        return "".join(part if isinstance(part, str) else part.shown for part in self.parts)

    @property
    def known(self) -> str | None:
        """The text; None where a part of it is not here."""
        return "".join(map(str, self.parts)) if not self.holes else None

    @property
    def holes(self) -> tuple[Hole, ...]:
        """Those that are in it."""
        return tuple(part for part in self.parts if isinstance(part, Hole))

    @property
    def hole(self) -> Hole | None:
        """The one hole that it consists of; None where there is text or another as well."""
        return self.parts[0] if len(self.parts) == 1 and isinstance(self.parts[0], Hole) else None

    def cut(self, separator: str) -> tuple["Word", "Word | None"]:
        """What is before and after the first separator that stands in plain text; None where there is none."""
        for index, part in enumerate(self.parts):
            if isinstance(part, str) and separator in part:
                before, _, after = part.partition(separator)
                head = (*self.parts[:index], *([before] if before else []))
                tail = (*([after] if after else []), *self.parts[index + 1 :])
                return Word(head, self.spot), Word(tail, self.spot)
        return self, None


def literal(text: str, spot: Spot) -> Word:
    """A word without holes."""
    return Word((text,) if text else (), spot)


def expand(text: str, spot: Spot, dialect: Dialect, known: Mapping[str, Word]) -> Word:
    """One word that is not split: its variables filled in as far as `known` has them."""
    parts: list[Part] = []
    at = 0
    while at < len(text):
        if text[at] == "$" and (found := _variable(text, at + 1, dialect, known)) is not None:
            more, at = found
            parts += more
            continue
        end = text.find("$", at + 1)
        end = len(text) if end < 0 else end
        parts.append(text[at:end])
        at = end
    return Word(_joined(parts), spot)


def split_commands(
    text: str, locate: Callable[[int], Spot], dialect: Dialect, known: Mapping[str, Word]
) -> list[list[Word]]:
    """The commands of a text, each as its words. Raises SpecError where a quote is not closed.

    Args:
        text: A command line, or a whole script.
        locate: Where the character at an index stands.
        dialect: Only a shell's text holds several commands.
        known: Texts of variables; what a script itself sets is added to them on the way.
    """
    commands = _Splitter(text, locate, dialect, dict(known)).commands()
    return [command for command in commands if command]


class _Splitter:
    """One reading of one text."""

    def __init__(self, text: str, locate: Callable[[int], Spot], dialect: Dialect, known: dict[str, Word]) -> None:
        self._text = text
        self._locate = locate
        self._dialect = dialect
        self._known = known
        self._at = 0

    def commands(self) -> Iterator[list[Word]]:
        command: list[Word] = []
        count = 0
        while (char := self._peek()) is not None:
            if self._dialect is Dialect.SHELL and char in _OPERATORS:
                if self._skip_redirection():
                    continue
                self._at += 1
                yield self._remember(command)
                command = []
            elif char.isspace():
                self._at += 1
            elif char == "#" and self._dialect is Dialect.SHELL:
                self._skip_line()
            elif self._text.startswith(("\\\n", "\\\r\n"), self._at):
                self._at = self._text.index("\n", self._at) + 1
            else:
                count += 1
                if count > _MAX_WORDS:
                    raise self._stop(self._at, f"more than {_MAX_WORDS} words", "give the part that starts the node")
                word = self._word()
                if not (word.text.isdigit() and self._peek() in ("<", ">")):  # `2>&1`: a handle, no word
                    command.append(word)
        yield self._remember(command)

    def _remember(self, command: list[Word]) -> list[Word]:
        """Keep what a shell's assignments say to later commands; `A=1 livepeer` says it to that program alone."""
        if self._dialect is not Dialect.SHELL or not command:
            return command
        is_export = command[0].text in ("export", "declare", "local", "readonly")
        pairs = [word.cut("=") for word in (command[1:] if is_export else command)]
        assigned = {name.text: value for name, value in pairs if value is not None and _NAME.fullmatch(name.text)}
        if is_export or len(assigned) == len(pairs):
            self._known |= assigned
        return command

    def _word(self) -> Word:
        begin = self._at
        parts: list[Part] = []
        while (char := self._peek()) is not None:
            if char.isspace() or (self._dialect is Dialect.SHELL and char in _OPERATORS):
                break
            if char in "'\"":
                parts += self._quoted(char)
            elif char == "\\":
                parts += self._escaped()
            elif char == "`" and self._dialect is Dialect.SHELL:
                parts.append(self._backticks())
            elif char == "$" and (more := self._dollar()) is not None:
                parts += more
            else:
                parts.append(char)
                self._at += 1
        return Word(_joined(parts), self._locate(begin))

    def _quoted(self, quote: str) -> list[Part]:
        begin = self._at
        self._at += 1
        parts: list[Part] = []
        fills_in = quote == '"' or self._dialect is not Dialect.SHELL
        while (char := self._peek()) is not None:
            if char == quote:
                self._at += 1
                return parts or [""]
            if char == "\\" and (quote == '"' or self._dialect is Dialect.SYSTEMD):
                following = self._text[self._at + 1 : self._at + 2]
                self._at += 2
                if following != "\n":
                    parts.append(following if following in '"\\$`' + quote else "\\" + following)
            elif char == "$" and fills_in and (more := self._dollar()) is not None:
                parts += more
            elif char == "`" and quote == '"' and self._dialect is Dialect.SHELL:
                parts.append(self._backticks())
            else:
                parts.append(char)
                self._at += 1
        raise self._stop(begin, f"the quote {quote} is never closed", _QUOTE_HINT)

    def _escaped(self) -> list[Part]:
        following = self._text[self._at + 1 : self._at + 2]
        if following == "\r":
            following = self._text[self._at + 1 : self._at + 3]
        self._at += 1 + len(following)
        return [] if following in ("\n", "\r\n") else [following]

    def _dollar(self) -> list[Part] | None:
        """What `$...` stands for; None where the sign is a letter."""
        if self._dialect is Dialect.SHELL and self._text.startswith("$(", self._at):
            return [self._substitution()]
        found = _variable(self._text, self._at + 1, self._dialect, self._known)
        if found is None:
            return None
        parts, self._at = found
        return parts

    def _substitution(self) -> Hole:
        begin, depth = self._at, 0
        for index in range(self._at + 1, len(self._text)):
            depth += {"(": 1, ")": -1}.get(self._text[index], 0)
            if depth == 0:
                inside = self._text[begin + 2 : index]
                self._at = index + 1
                return self._command_hole(inside)
        raise self._stop(begin, "`$(` is never closed", "close it with `)`")

    def _backticks(self) -> Hole:
        end = self._text.find("`", self._at + 1)
        if end < 0:
            raise self._stop(self._at, "the quote ` is never closed", _QUOTE_HINT)
        inside = self._text[self._at + 1 : end]
        self._at = end + 1
        return self._command_hole(inside)

    def _command_hole(self, inside: str) -> Hole:
        found = _CAT.match(inside)
        if found is None:
            return Hole(HoleKind.COMMAND, " ".join(inside.split()))
        name = expand(
            next(group for group in found.groups() if group), self._locate(self._at - 1), Dialect.SHELL, self._known
        )
        return Hole(HoleKind.FILE, name.text)

    def _skip_redirection(self) -> bool:
        """Pass `> file`, `2>&1`, `< file`; a text after `<<` is not read as commands."""
        here = re.compile(r"<<-?\s*(['\"]?)(\w+)\1").match(self._text, self._at)
        if here is not None:
            end = re.compile(rf"^\s*{re.escape(here[2])}\s*$", re.MULTILINE).search(self._text, here.end())
            self._at = end.end() if end is not None else len(self._text)
            return True
        found = re.compile(r"(&?>{1,2}|<)(&[0-9-]|[ \t]*[^\s;&|()<>]*)").match(self._text, self._at)
        if found is None:
            return False
        self._at = found.end()
        return True

    def _skip_line(self) -> None:
        end = self._text.find("\n", self._at)
        self._at = len(self._text) if end < 0 else end

    def _peek(self) -> str | None:
        return self._text[self._at] if self._at < len(self._text) else None

    def _stop(self, at: int, message: str, hint: str) -> SpecError:
        spot = self._locate(min(at, max(len(self._text) - 1, 0)))
        return SpecError([Problem(spot.file, spot.line, spot.column, message, hint)])


def _variable(text: str, at: int, dialect: Dialect, known: Mapping[str, Word]) -> tuple[list[Part], int] | None:
    """What the variable whose `$` stands before `at` stands for, and where the text goes on."""
    if text.startswith("$", at) and dialect is not Dialect.SHELL:
        return ["$"], at + 1
    if dialect is Dialect.KUBERNETES:
        found = _KUBERNETES.match(text, at)
        return None if found is None else (_of(found[1], "", known), found.end())
    if (braced := _BRACED.match(text, at)) is not None:
        return _of(braced[1], (braced[3] or "") if (braced[2] or "").endswith(("-", "=")) else "", known), braced.end()
    if (plain := _NAME.match(text, at)) is not None:
        return _of(plain[0], "", known), plain.end()
    return None


def _of(name: str, default: str, known: Mapping[str, Word]) -> list[Part]:
    if name in known:
        return list(known[name].parts)
    return [default] if default else [Hole(HoleKind.VARIABLE, name)]


def _joined(parts: list[Part]) -> tuple[Part, ...]:
    joined: list[Part] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part != "":
            joined.append(part)
    return tuple(joined)
