"""YAML and JSON of other programs."""

import pytest

from livefleet.control.importer.items import read_items
from livefleet.spec import SpecError

pytestmark = pytest.mark.unit


def test_items__anchors_and_merges__are_understood() -> None:
    (item,) = read_items("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\nc: [*a]\n", "f")

    assert (item.word("b", "x"), item.word("b", "y")) == ("1", "3")
    assert str(item.at("b", "x").spot) == "f:1:11"
    assert item.at("c").entries[0].word("x") == "1"


def test_items__documents_and_nulls() -> None:
    first, second = read_items("a:\nb: ~\nc: 'null'\n---\n- x\n", "f")

    assert (first.at("a").is_null, first.at("b").is_null, first.word("c")) == (True, True, "null")
    assert (second.is_list, second.entries[0].text) == (True, "x")


def test_items__list_of_assignments__is_read_like_a_mapping() -> None:
    (item,) = read_items("[A=1, B, C==]", "f")

    assert [(name, value.text) for name, value in item.pairs()] == [("A", "1"), ("B", None), ("C", "=")]


def test_items__json__halves_of_a_letter_are_joined() -> None:
    (item,) = read_items('{"a":\t"\\ud83d\\ude00", "b": "\\u003c"}', "f")

    assert (item.word("a"), item.word("b")) == ("\U0001f600", "<")


def test_items__in_a_block__fragments_are_found() -> None:
    (item,) = read_items("a: >-\n  one\n  two\n", "f")

    spot, at = item.at("a").inside("two")
    assert str(spot) == "f:3:3"
    assert item.at("a").inside("one", at) == (item.at("a").spot, at)


def test_items__aliases_that_multiply__are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    with pytest.raises(SpecError, match="more than 50000 values, aliases counted"):
        read_items("\n".join(lines), "f")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 500, "f:1:201: more than 200 brackets are open"),
        ("[" * 100 + "]" * 100, "f:1:62: nested deeper than 60 levels"),
        ("- " * 3000, "f:1:121: nested deeper than 60 levels"),
        ("a: 1\na: 2\n", "f:2:1: key `a` is given twice; first on line 1"),
        ("a: [1\nb: 2", "f:2:2: not YAML"),
        ("a: *b\n", "f:1:4: not YAML: found undefined alias"),
        ("a: &a [*a]\n", "f:1:"),
        ("? [a]\n: b\n", "f:1:3: a key must be plain text"),
        ("a: \x07\n", "f:1:4: not YAML: an unprintable character"),
    ],
)
def test_items__bad__tells_where(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_items(text, "f")

    assert str(caught.value).startswith(message)
