import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain.vote_text import plain_text, title_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# Fund the games\n\nlong text", "Fund the games"),
        ("\n\n   plain words  \nmore", "plain words"),
        ("", "(without a title)"),
        ("###", "(without a title)"),
        ("a" * 100, "a" * 79 + "…"),
        ("\x1b[2Jcleared\rover", "\N{REPLACEMENT CHARACTER}[2Jcleared"),
    ],
)
def test_title__is_the_first_line_that_says_something(text, title):
    assert title_of(text) == title


@given(st.text())
def test_plain_text__any_text__cannot_steer_a_terminal(text):
    plain = plain_text(text)
    assert len(plain) == len(text)
    assert all(char.isprintable() or char == "\n" for char in plain)


@given(st.text())
def test_title__any_text__is_one_short_printable_line(text):
    title = title_of(text)
    assert 0 < len(title) <= 80
    assert title.isprintable()
