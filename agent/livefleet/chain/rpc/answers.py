"""What an endpoint's answer means: a value, the contract's refusal, or a reason to ask another endpoint.

Nodes and hosted services word the same thing in many ways; all the words that are known stand here.
"""

import re
from typing import Any, cast

from livefleet.chain.errors import NodeError, RangeTooLarge, Reverted, revert_reason

__all__ = ["Behind", "Busy", "Declined", "OtherChain", "Unusable", "number", "raw_bytes", "result_of"]

_LACKS_BLOCK = ("header not found", "unknown block", "unsupported block number", "missing trie node", "block not found")
_BUSY_CODES = (-32005, 429)
_BUSY = re.compile(r"too many requests|rate.?limit|request limit|requests? per (second|day)|capacity exceeded|quota")
_FAULTY_CODES = (-32603, -32601, -32604)  # internal error; method unknown or not allowed
_RANGE = re.compile(
    r"block range|range (is )?too|too (large|wide|big)|too many (results|logs|blocks|events)"
    r"|max(imum)? (block )?range|more than \d+ (results|logs)"
    r"|response size|limited to|exceeds limit|exceeds max|ranges over|result set|timeout|timed out"
)
_ADVICE = re.compile(r"\[\s*(0x[0-9a-fA-F]+)\s*,\s*(0x[0-9a-fA-F]+)\s*\]")


class Unusable(Exception):
    """This endpoint cannot serve this call now, and had better be left alone for a while."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class OtherChain(Unusable):
    """This endpoint serves another chain."""


class Busy(Unusable):
    """This endpoint has had enough requests."""


class Behind(Exception):
    """This endpoint has not seen the block yet that the call is about; nothing else is wrong with it."""


class Declined(Exception):
    """This endpoint does not do what is asked; another may, and `error` is what to raise when none does."""

    def __init__(self, error: NodeError) -> None:
        super().__init__(str(error))
        self.error = error


def result_of(answer: Any, method: str) -> Any:
    """The value in one JSON-RPC answer. Raises Reverted, NodeError; Unusable, Behind, Declined."""
    if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
        raise Unusable("an answer that is no JSON-RPC")
    error = answer.get("error")
    if error is None:
        return answer.get("result")
    if not isinstance(error, dict):
        error = {"message": str(error)}
    code, message = _code(error.get("code")), str(error.get("message", ""))
    words = message.lower()
    data = _revert_data(error.get("data"))
    if code == 3 or data or "execution reverted" in message:
        raise Reverted(revert_reason(data, message), data=data)
    if any(sign in words for sign in _LACKS_BLOCK):
        raise Behind(message)
    if _BUSY.search(words):
        raise Busy(message)
    if method == "eth_getLogs" and _RANGE.search(words):
        raise Declined(RangeTooLarge(message, code=code, span=_advised_span(message)))
    if code in _BUSY_CODES:
        raise Busy(message or f"error {code}")
    refusal = NodeError(message or str(error), code=code)
    raise Declined(refusal) if code in _FAULTY_CODES else refusal


def number(raw: Any) -> int:
    """A quantity as JSON-RPC writes it. Raises NodeError where it is none."""
    try:
        return int(cast("str", raw), 16)
    except (TypeError, ValueError) as error:
        raise NodeError(f"an answer that is no number: {str(raw)[:100]}") from error


def raw_bytes(raw: Any) -> bytes:
    """Data as JSON-RPC writes it. Raises NodeError where it is none."""
    try:
        return bytes.fromhex(cast("str", raw)[2:])
    except (TypeError, ValueError) as error:
        raise NodeError(f"an answer that is no data: {str(raw)[:100]}") from error


def _code(raw: Any) -> int:
    try:
        return int(raw or 0)
    except (TypeError, ValueError):
        return 0


def _revert_data(raw: Any) -> bytes:
    text = raw.removeprefix("Reverted ") if isinstance(raw, str) else ""
    try:
        return bytes.fromhex(text[2:]) if text.startswith("0x") else b""
    except ValueError:
        return b""


def _advised_span(message: str) -> int | None:
    advice = _ADVICE.search(message)
    return max(1, int(advice[2], 16) - int(advice[1], 16) + 1) if advice else None
