import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.ai.pipelines.sentences import sentences_of

pytestmark = pytest.mark.unit


def test_sentences__several__are_cut_at_their_ends():
    assert list(sentences_of("One. Two?  Three!\nFour; 3.14 is five", 50)) == [
        "One.", "Two?", "Three!", "Four;", "3.14 is five",
    ]  # fmt: skip


def test_sentences__without_blanks__are_cut_at_the_ends_of_their_script():
    assert list(sentences_of("你好。再见！好", 50)) == ["你好。", "再见！", "好"]  # noqa: RUF001 -- meant


def test_sentences__too_long__are_cut_at_blanks_or_inside_a_word():
    assert list(sentences_of("aaa bbb ccc", 8)) == ["aaa bbb", "ccc"]
    assert list(sentences_of("a" * 10, 4)) == ["aaaa", "aaaa", "aa"]


@given(st.text(max_size=300), st.integers(1, 40))
def test_sentences__any_text__loses_nothing_but_blanks(text: str, longest: int):
    parts = list(sentences_of(text, longest))
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(0 < len(part) <= longest for part in parts)
