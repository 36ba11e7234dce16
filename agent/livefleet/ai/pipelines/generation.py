"""Words from a language model, one token at a time, on the thread that asks for them.

transformers' own `generate` pushes tokens and draws from one random state for the whole process. Here tokens are
pulled, so that answers stream without a second thread, and each answer draws from its own generator, so that a seed
means the same answer whatever runs beside it.
"""
# torch annotates half of its functions.
# mypy: disable-error-code="no-untyped-call"

import inspect
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from livefleet.ai.pipelines.device import memory_errors
from livefleet.ai.stop import Stop

if TYPE_CHECKING:
    import torch

__all__ = ["Pieces", "Sampling", "tokens"]

_PREFILL = 512
"""Tokens of a prompt that are read between two looks at `stop`."""

_MAX_HELD = 16
"""Tokens that are waited for until a character is whole; the longest of UTF-8 has 4 bytes."""

_COLD = 1e-4
"""Temperatures below it are 0: dividing by them leaves the range of float32."""

_BROKEN = "\ufffd"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen."""

    temperature: float  # 0: the likeliest
    top_p: float  # share of the probability that is drawn from
    top_k: int  # how many of the likeliest tokens are drawn from; below 1: all
    seed: int | None  # None: another answer each time


def tokens(
    model: Any, prompt: Sequence[int], sampling: Sampling, *, ends: Collection[int], stop: Stop
) -> Iterator[int]:
    """Up to the one that ends the answer, which is not given; without it, forever. Raises what `stop.check` does.

    `model`: a causal language model of transformers. `prompt`: at least one token.
    """
    import torch

    dice = torch.Generator()
    if sampling.seed is None:
        dice.seed()
    else:
        dice.manual_seed(sampling.seed)
    step = _Step(model)
    for start in range(0, len(prompt), _PREFILL):
        stop.check()
        scores = step(prompt[start : start + _PREFILL])
    while (token := _choose(scores, sampling, dice)) not in ends:
        yield token
        stop.check()
        scores = step([token])


class _Step:
    """A model and what it remembers of the text so far."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._memory: Any = None
        taken = inspect.signature(model.forward).parameters
        self._memory_name = "cache" if "cache" in taken else "past_key_values"
        # Scores of a whole prompt would take more memory than the model's own work; not every model can leave them out.
        self._only_last = {"logits_to_keep": 1} if "logits_to_keep" in taken else {}

    def __call__(self, more: Sequence[int]) -> "torch.Tensor":
        """Read on. Gives the scores of each token that could follow: float32 [vocabulary] on the CPU."""
        import torch

        # Per step: an inference mode left open over a `yield` would hold for whatever else the thread does.
        with torch.inference_mode(), memory_errors():
            output = self._model(
                input_ids=torch.tensor([list(more)], device=self._model.device),
                use_cache=True,
                **{self._memory_name: self._memory},
                **self._only_last,
            )
            self._memory = output[self._memory_name]
            scores: torch.Tensor = output.logits[0, -1].float().cpu()
            return scores


def _choose(scores: "torch.Tensor", sampling: Sampling, dice: "torch.Generator") -> int:
    import torch

    if sampling.temperature < _COLD:
        return int(scores.argmax())
    chances, order = torch.softmax(scores / sampling.temperature, dim=-1).sort(descending=True, stable=True)
    if sampling.top_k > 0:
        chances = chances[: sampling.top_k]
    # A token stays while those before it do not make up `top_p` yet; the first always does.
    before = chances.cumsum(-1) - chances
    chances = chances[: max(1, int((before < sampling.top_p * chances.sum()).sum()))]
    return int(order[torch.multinomial(chances, 1, generator=dice)])


class Pieces:
    """From tokens to text that grows by whole characters."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._tokens: list[int] = []
        # Tokenizers write a space by what comes before: the last piece stays in view, and is taken off the front.
        self._seen = self._told = 0

    def add(self, token: int) -> str:
        """What can be told with one more token; empty while a character is not whole."""
        self._tokens.append(token)
        text = self._untold()
        if text.endswith(_BROKEN) and len(self._tokens) - self._told < _MAX_HELD:
            return ""
        self._seen, self._told = self._told, len(self._tokens)
        return text

    def rest(self) -> str:
        """What was held back."""
        text = self._untold()
        self._seen = self._told = len(self._tokens)
        return text

    def _untold(self) -> str:
        before = self._decode(self._tokens[self._seen : self._told])
        return self._decode(self._tokens[self._seen :])[len(before) :]
