"""Command lines as words."""

import contextlib
import shlex
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livefleet.control.importer.findings import Spot
from livefleet.control.importer.words import Dialect, Hole, HoleKind, Word, expand, literal, split_commands
from livefleet.spec import SpecError

pytestmark = pytest.mark.unit

HERE = Spot("f", 1, 1)


def locator(text: str) -> Callable[[int], Spot]:
    return lambda index: Spot("f", text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index))


def split(text: str, dialect: Dialect = Dialect.SHELL, **known: str) -> list[list[str]]:
    words = {name: literal(value, HERE) for name, value in known.items()}
    return [[word.text for word in command] for command in split_commands(text, locator(text), dialect, words)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a  b\tc", [["a", "b", "c"]]),
        ("a 'b  c' \"d e\"", [["a", "b  c", "d e"]]),
        ("a \\\n  b", [["a", "b"]]),
        ("a \\\r\n  b", [["a", "b"]]),
        ("a\\ b 'it'\\''s'", [["a b", "it's"]]),
        ('a "x\\"y" "\\n"', [["a", 'x"y', "\\n"]]),
        ("a ''", [["a", ""]]),
        ("a; b && c | d\ne # f\n# g", [["a"], ["b"], ["c"], ["d"], ["e"]]),
        ("a b#c", [["a", "b#c"]]),
        ("a > out.log 2>&1 b", [["a", "b"]]),
        ("a &> log &", [["a"]]),
        ("cat <<EOF\nlivepeer 'x\nEOF\nb", [["cat"], ["b"]]),
        ("X=1\na $X ${X} $Y", [["X=1"], ["a", "1", "1", "${Y}"]]),
        ("X=1 a $X; b $X", [["X=1", "a", "${X}"], ["b", "${X}"]]),
        ("export X='p q'\na $X-r", [["export", "X=p q"], ["a", "p q-r"]]),
        ("a ${Y:-dflt} ${Y-d} ${Y:?e}", [["a", "dflt", "d", "${Y}"]]),
        ("a '$X' \"$X\"", [["a", "$X", "${X}"]]),
        (
            "a $(cat /k/f) `cat g` $(<h) $(pass show x)",
            [["a", "$(cat /k/f)", "$(cat g)", "$(cat h)", "$(pass show x)"]],
        ),
        ("a $5 $", [["a", "$5", "$"]]),
    ],
)
def test_split__shell__as_a_shell_does(text: str, expected: list[list[str]]) -> None:
    assert split(text) == expected


def test_split__compose__doubles_are_signs_and_nothing_ends_a_command() -> None:
    assert split("a $$X ${X:-y} ; b|c", Dialect.COMPOSE) == [["a", "$X", "y", ";", "b|c"]]


def test_split__systemd__quotes_and_variables() -> None:
    assert split("a 'b $X' ${X} $$", Dialect.SYSTEMD, X="1") == [["a", "b 1", "1", "$"]]


def test_split__every_word__knows_where_it_begins() -> None:
    text = "a \\\n  'b c'\nd"
    commands = split_commands(text, locator(text), Dialect.SHELL, {})

    assert [[str(word.spot) for word in command] for command in commands] == [["f:1:1", "f:2:3"], ["f:3:1"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n 'b", "f:2:2: the quote ' is never closed"),
        ('a "b\nc', 'f:1:3: the quote " is never closed'),
        ("a `b", "f:1:3: the quote ` is never closed"),
        ("a $(b (c)", "f:1:3: `$(` is never closed"),
    ],
)
def test_split__unbalanced__tells_where_it_opened(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        split(text)

    assert str(caught.value).startswith(message)


def test_split__endless__is_refused() -> None:
    with pytest.raises(SpecError, match="more than 20000 words"):
        split("a " * 20_001)


def test_expand__kubernetes__fills_in_and_leaves_the_rest() -> None:
    word = expand("x-$(A)-$(B)-$$(A)-$A", HERE, Dialect.KUBERNETES, {"A": literal("1", HERE)})

    assert word.parts == ("x-1-", Hole(HoleKind.VARIABLE, "B"), "-$(A)-$A")
    assert (word.known, word.hole) == (None, None)


def test_word__cut__keeps_holes() -> None:
    hole = Hole(HoleKind.FILE, "f")
    name, value = Word(("-a=", hole, "b"), HERE).cut("=")

    assert (name.text, value) == ("-a", Word((hole, "b"), HERE))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12), max_size=6))
def test_split__what_shlex_quotes__comes_back(words: list[str]) -> None:
    text = shlex.join(words)

    assert [word for command in split(text) for word in command] == words


@settings(max_examples=80, deadline=None)
@given(st.text("ab \n'\"\\$(){}`;|&<>#=-x", max_size=30), st.sampled_from(Dialect))
def test_split__anything__ends_with_words_or_a_problem(text: str, dialect: Dialect) -> None:
    with contextlib.suppress(SpecError):
        split(text, dialect)
