"""Taking secrets out of text: values that are known, and whatever looks like one.

Rather too much than too little: what is lost for reading can be asked for again, what has leaked cannot be taken back.
Standard library only, for hosts.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

__all__ = ["MASK", "Masker", "secret_parts_of_urls"]

MASK = "***"

_SHORT = 4  # characters; shorter values are masked as whole words only, else nothing readable would be left
_LINE_OF_A_VALUE = 8  # characters; shorter lines of a file with several say too little to be looked for
_LEAF = 16  # characters of a text inside a JSON file, such as a keystore's ciphertext

_WORDS = (
    r"pass(?:word|wd|phrase|code)?|pwd|secret|token|(?:api|access|private|secret|signing|session)[_-]?key|credentials?"
    r"|mnemonic|seed[_-]?phrase|authorization|(?:set-)?cookie"
)
_QUOTE = r"(?:\\*[\"'])?"
_QUOTED = (
    r"\"(?:[^\"\\]|\\.)*\""
    r"|'(?:[^'\r\n]|'')*'"
    r"|(?P<slashes>\\+)\"(?:(?!(?<!\\)(?P=slashes)\")[^\r\n])*(?<!\\)(?P=slashes)\""  # JSON within JSON
)
_BLOCK = r"[|>][-+0-9]*[ \t]*\r?\n(?:[ \t]+[^\r\n]*(?:\r?\n|\Z))+"  # of YAML
_NOTHING = r"[ \t]*(?:true|false|null|none)[ \t]*(?:[}\]]|,\s*\\*\"|[\r\n]|\Z)"
_NUMBER = r"-?[0-9][0-9.eE+-]*(?=[ \t]*[,}\]])"
_WORD = r"\S+?(?=[\"'\\]*[,;}\])]*(?:\s|\Z))"
_NAMED = re.compile(
    rf"(?P<name>(?<![\w.-]){_QUOTE}[\w.-]*(?:{_WORDS}){_QUOTE}[ \t]*)"
    rf"(?:(?P<colon>(?::|=>)[ \t]*)(?P<value>{_QUOTED}|{_BLOCK}|{_NUMBER}|(?!{_NOTHING})[^\r\n]+)"
    rf"|(?P<equals>=[ \t]*)(?P<word>{_QUOTED.replace('slashes', 'slashes2')}|{_WORD}))",
    re.IGNORECASE | re.DOTALL,
)
_NAME = re.compile(rf"[\w.-]*(?:{_WORDS})", re.IGNORECASE)
_FLAG = re.compile(rf"(?P<name>(?<!\S)--?[\w.-]*(?:{_WORDS})[ \t]+)(?!-)(?:\"[^\"]*\"|'[^']*'|{_WORD})", re.IGNORECASE)
_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]+-----"
    r"(?:[A-Za-z0-9+/=\s]|\\[nrt]|(?:Proc-Type|DEK-Info)[^\r\n]*)*"
    r"(?:-----END [A-Z0-9 ]+-----)?"
)
_LONGEST_PEM = 16 * 1024  # characters from its beginning to its end, words of a log between its lines included
_BASE64 = re.compile(
    r"(?<![A-Za-z0-9+/])(?!0x[0-9a-fA-F]{40}(?![A-Za-z0-9+/]))"  # an address is public
    r"(?=[a-z0-9+/]{0,60}[A-Z])(?=[A-Z0-9+/]{0,60}[a-z])(?=[A-Za-z+/]{0,60}[0-9])[A-Za-z0-9+/]{40,}={0,2}"
)
_BASE64_LINE = re.compile(r"^[ \t]*[A-Za-z0-9+/]{40,}={0,2}[ \t]*$", re.MULTILINE)
_USER_OF_URL = re.compile(
    r"(?P<name>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://)[^\s\"'<>@/]{0,200}(?::[^\s\"'<>]{0,200})?@", re.IGNORECASE
)
_QUERY = re.compile(
    r"(?P<name>[?&;][\w.-]*(?:key|token|secret|sig|signature|pass|password|passwd|auth|credential|code)[\w.-]*=)[^&\s\"'<>#;]+",
    re.IGNORECASE,
)
_PATH_OF_URL = re.compile(
    r"(?P<name>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://[^\s\"'<>/?#]*)(?P<path>/[^\s\"'<>?#]*)", re.IGNORECASE
)
_BEARER = re.compile(r"(?P<name>\bbearer[ \t]+)[\w.~+/=-]{4,}", re.IGNORECASE)
_BASIC = re.compile(r"(?P<name>\bbasic[ \t]+)(?=[\w+/]*[A-Z0-9])[\w+/]{8,}={0,2}")
_KNOWN_SHAPES = re.compile(
    r"\b(?:hf_|gh[pousr]_|github_pat_|glpat-|sk-|xox[abeprs]-|AKIA|ASIA|AIza|eyJ|AGE-SECRET-KEY-1)[A-Za-z0-9_.+/=-]{12,}"
)
_HEX = re.compile(r"(?:0x)?[0-9a-fA-F]{64,}")
_MNEMONIC = re.compile(r"\b(?:[a-z]{3,8} ){11,23}[a-z]{3,8}\b")
_TOKEN_IN_PATH = re.compile(r"(?=[\w-]*[0-9])(?=[\w-]*[A-Za-z])[\w-]{16,}|[\w-]{32,}")
_URL = re.compile(r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://(?P<rest>[^\s\"'<>]+)", re.IGNORECASE)


class Masker:
    """Masks by value and by shape. Safe to use from several threads."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        """`known`: the secrets' texts as they stand in their files, of one line or of many."""
        long: set[str] = set()
        short: set[str] = set()
        for text in known:
            for value in _values_of(text):
                (long if len(value) >= _SHORT else short).update(_forms_of(value))
        self._known = sorted(long, key=len, reverse=True)  # else a part of a longer one would leave its rest
        self._words = _words(short)

    def mask(self, text: str) -> str:
        """The text without secrets."""
        for value in self._known:
            text = text.replace(value, MASK)
        if self._words is not None:
            text = self._words.sub(MASK, text)
        text = _PEM.sub(f"{MASK} (PEM)", _without_whole_pem(text))
        text = _USER_OF_URL.sub(rf"\g<name>{MASK}@", text)
        text = _QUERY.sub(rf"\g<name>{MASK}", text)
        text = _PATH_OF_URL.sub(_without_tokens, text)
        text = _NAMED.sub(_without_value, text)
        for named in (_BEARER, _BASIC, _FLAG):
            text = named.sub(rf"\g<name>{MASK}", text)
        text = _KNOWN_SHAPES.sub(MASK, text)
        text = _HEX.sub(_fingerprint, text)
        text = _BASE64.sub(MASK, _BASE64_LINE.sub(MASK, text))
        return _MNEMONIC.sub(MASK, text)

    def mask_document(self, document: Any, *, named: bool = False) -> Any:
        """The same for a JSON document, which stays one. `named`: it stands under a name of secrets."""
        if isinstance(document, str):
            return MASK if named else self.mask(document)
        if isinstance(document, dict):
            return {
                self.mask(key): self.mask_document(value, named=named or _NAME.fullmatch(key) is not None)
                for key, value in document.items()
            }
        if isinstance(document, list):
            return [self.mask_document(value, named=named) for value in document]
        return MASK if named and document is not None and not isinstance(document, bool) else document


def secret_parts_of_urls(text: str) -> Iterator[str]:
    """What stands before and after the host in URLs: providers of RPC take it for a key. Short words are left out."""
    for match in _URL.finditer(text):
        authority, _, rest = match["rest"].partition("/")
        user, at, _ = authority.rpartition("@")
        if at:
            yield user
            yield user.partition(":")[2]
        yield from (part for part in re.split(r"[/?&=#]", rest) if len(part) >= _LINE_OF_A_VALUE and _is_odd(part))


def _is_odd(part: str) -> bool:
    """Whether it is no plain word such as `transcode` or `healthz`."""
    return not re.fullmatch(r"[a-z]+(?:[-_.][a-z]+)*", part)


def _values_of(text: str) -> Iterator[str]:
    value = text.strip()
    if not value:
        return
    try:
        document = json.loads(value)
    except ValueError:
        document = None
    if isinstance(document, (dict, list)):
        yield from (leaf for leaf in _leaves(document) if len(leaf) >= _LEAF)
        yield value
        return
    yield value
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= _LINE_OF_A_VALUE and not line.startswith("-----"))


def _leaves(document: Any) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for value in document.values():
            yield from _leaves(value)
    elif isinstance(document, list):
        for value in document:
            yield from _leaves(value)


def _forms_of(value: str) -> Iterator[str]:
    """The value as it may be met: plain, and in the spellings of JSON, Python, URLs and HTTP."""
    yield value
    bare = value[2:] if value[:2] in ("0x", "0X") else value
    if re.fullmatch(r"[0-9a-fA-F]+", bare):
        yield from (bare, bare.lower(), bare.upper())
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield quote(value, safe="")
    if len(value) >= _SHORT:
        yield base64.b64encode(value.encode()).decode().rstrip("=")
        yield base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")


def _words(values: set[str]) -> re.Pattern[str] | None:
    if not values:
        return None
    return re.compile(rf"(?<!\w)(?:{'|'.join(re.escape(value) for value in sorted(values))})(?!\w)")


def _without_whole_pem(text: str) -> str:
    """Everything from a beginning to the next end: a log writes its own words before each line."""
    parts: list[str] = []
    at = 0
    while (begin := text.find("-----BEGIN ", at)) >= 0:
        end = text.find("-----END ", begin, begin + _LONGEST_PEM)
        if end < 0:
            parts.append(text[at : begin + 1])
            at = begin + 1
            continue
        close = text.find("-----", end + 9, end + 80)
        parts += [text[at:begin], f"{MASK} (PEM)"]
        at = close + 5 if close >= 0 else end + 9
    return "".join([*parts, text[at:]])


def _without_value(match: re.Match[str]) -> str:
    """What was quoted stays quoted, so that JSON stays JSON."""
    value = match["value"] or match["word"]
    quote_mark = re.match(r"\\*[\"']?", value)
    assert quote_mark is not None
    mark = quote_mark[0]
    if not mark.endswith(('"', "'")):
        mark = '"' if value[0] in "-0123456789" and match["name"].rstrip().endswith('"') else ""
    return f"{match['name']}{match['colon'] or match['equals']}{mark}{MASK}{mark}"


def _without_tokens(match: re.Match[str]) -> str:
    parts = [MASK if _TOKEN_IN_PATH.fullmatch(part) else part for part in match["path"].split("/")]
    return match["name"] + "/".join(parts)


def _fingerprint(match: re.Match[str]) -> str:
    """Masked, and still the same mark for the same value: so many digits are never guessed from it."""
    digits = match[0].lower().removeprefix("0x")
    return f"{MASK}#{hashlib.sha256(digits.encode()).hexdigest()[:8]}"
