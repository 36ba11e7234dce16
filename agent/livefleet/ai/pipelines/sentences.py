"""Cutting text into what a voice says in one breath."""

import re
from collections.abc import Iterator

__all__ = ["sentences_of"]

_ENDS = re.compile(r"(?<=[.!?;:])\s+|(?<=[。！？；])|\n+")  # noqa: RUF001 -- other scripts' ends of sentences


def sentences_of(text: str, longest: int) -> Iterator[str]:
    """Sentences, those of more than `longest` characters cut at blanks, or anywhere in a word of that length.

    Nothing but blanks is lost.
    """
    for sentence in _ENDS.split(text):
        rest = sentence.strip()
        while len(rest) > longest:
            cut = rest.rfind(" ", 1, longest + 1)
            end = cut if cut > 0 else longest
            yield rest[:end].rstrip()
            rest = rest[end:].lstrip()
        if rest:
            yield rest
