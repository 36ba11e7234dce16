"""Texts that strangers put on the chain, made fit for terminals, logs and conditions."""

__all__ = ["plain_text", "title_of"]

_TITLE_LENGTH = 80


def plain_text(text: str) -> str:
    """The same without what is no printable character: whoever proposes could steer a terminal with it."""
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text)


def title_of(text: str) -> str:
    """The first line that says something, without its Markdown heading, short enough for a table."""
    lines = (line.strip(" #\t") for line in plain_text(text.replace("\r", "\n")).splitlines())
    title = next((line for line in lines if line), "(without a title)")
    return title if len(title) <= _TITLE_LENGTH else title[: _TITLE_LENGTH - 1] + "…"
