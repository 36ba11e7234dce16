"""Text that may be shown: URLs keep their scheme and host, since keys stand in their user part, path or query."""

import re
from typing import Final

__all__ = ["masked_urls"]

_URL: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<rest>[^\s\"'<>]+)")


def masked_urls(text: str) -> str:
    """`https://user:pass@host/v2/KEY?x` as `https://…@host/…`. What has no more than a host is left as it is."""
    return _URL.sub(_masked, text)


def _masked(match: re.Match[str]) -> str:
    authority, slash, path = match["rest"].partition("/")
    authority, question, _ = authority.partition("?")
    user, at, host = authority.rpartition("@")
    has_more = bool(path) or bool(question)
    return f"{match['scheme']}{'…@' if at and user else ''}{host}{'/…' if has_more else slash}"
