"""Content types as Go reads them. Source: Go's mime.ParseMediaType, whose words the errors are."""

import re

__all__ = ["media_type_of"]

_WORD = r"[!#$%&'*+\-.0-9A-Z^_`a-z|~]+"
_WHOLE = re.compile(f"({_WORD})(?:(/)({_WORD})?(.*))?", re.DOTALL)
_PARAMETER = re.compile(rf'\s*;\s*({_WORD})\s*=\s*(?:{_WORD}|"(?:[^"\\\r\n]|\\.)*")\s*')
_END = re.compile(r"[\s;]*")


def media_type_of(content_type: str) -> str:
    """The type in lower case, without parameters. Raises ValueError for what Go calls unparsable."""
    base, semicolon, _ = content_type.partition(";")
    media_type = base.strip().lower()
    _check(media_type)
    at, names = len(base), set()
    while semicolon and (found := _PARAMETER.match(content_type, at)):
        if (name := found[1].lower()) in names:
            raise ValueError("mime: duplicate parameter name")
        names.add(name)
        at = found.end()
    if not _END.fullmatch(content_type, at):
        raise ValueError("mime: invalid media parameter")
    return media_type


def _check(media_type: str) -> None:
    found = _WHOLE.match(media_type)
    if found is None:
        raise ValueError("mime: no media type")
    _, slash, subtype, rest = found.groups()
    if not slash:
        if found.end() < len(media_type):
            raise ValueError("mime: expected slash after first token")
    elif subtype is None:
        raise ValueError("mime: expected token after slash")
    elif rest:
        raise ValueError("mime: unexpected content after media subtype")
