"""The shapes of an llm answer, whole and in chunks, whoever makes the words.

Source: ai-runner `LLMResponse`. Every chunk has one choice, because Go peers read the first without looking.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Conversation", "Finish", "Usage"]


class Finish(StrEnum):
    """Why an answer ends; peers take any text but the empty one for the end."""

    STOP = "stop"  # the model had no more to say
    LENGTH = "length"  # `max_tokens`, or the model's context, is used up


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens so far."""

    prompt: int
    completion: int


@dataclass(frozen=True, slots=True)
class Conversation:
    """What all parts of one answer say alike."""

    id: str
    model: str  # as the request names it
    created: int  # seconds since 1970

    def chunk(self, content: str, usage: Usage) -> Mapping[str, Any]:
        """A piece of the answer."""
        return self._answer(usage, {"finish_reason": "", "delta": _said(content)})

    def last_chunk(self, finish: Finish, usage: Usage) -> Mapping[str, Any]:
        """What ends the pieces; it says nothing more."""
        return self._answer(usage, {"finish_reason": finish.value, "delta": _said("")})

    def whole(self, content: str, finish: Finish, usage: Usage) -> Mapping[str, Any]:
        """All of it at once."""
        return self._answer(usage, {"finish_reason": finish.value, "message": _said(content)})

    def _answer(self, usage: Usage, choice: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "id": self.id,
            "model": self.model,
            "created": self.created,
            "usage": {
                "prompt_tokens": usage.prompt,
                "completion_tokens": usage.completion,
                "total_tokens": usage.prompt + usage.completion,
            },
            "choices": [{"index": 0, **choice}],
        }


def _said(content: str) -> Mapping[str, str]:
    return {"role": "assistant", "content": content}
