"""Chat through transformers."""
# transformers annotates half of its functions.
# mypy: disable-error-code="no-untyped-call"

import itertools
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from livefleet.ai.chat import Conversation, Finish, Usage
from livefleet.ai.errors import BadFields, Unbillable
from livefleet.ai.jobs import AiResult
from livefleet.ai.kinds import JobFields, Kind, ModelId, Seed
from livefleet.ai.pipelines.device import OnDevice
from livefleet.ai.pipelines.generation import Pieces, Sampling, tokens
from livefleet.ai.settings import RunnerSettings
from livefleet.ai.stop import Stop
from livefleet.spec import Pipeline

__all__ = ["KIND", "MAX_TOKENS", "Message"]

MAX_TOKENS = 32_768
"""Most tokens of one answer."""

_MAX_MESSAGES = 1024
_MAX_CONTENT = 500_000
"""Characters; the model's context is the limit that is felt."""

_CONTEXT_FLAG = "MAX_MODEL_LEN"


class Message(JobFields):
    """What somebody said."""

    role: Literal["system", "user", "assistant"]
    content: Annotated[str, Field(max_length=_MAX_CONTENT)]


class RunnerLlm(JobFields):
    """A request as a runner takes it."""

    messages: Annotated[tuple[Message, ...], Field(min_length=1, max_length=_MAX_MESSAGES)]
    model: ModelId = ""
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] = 0.7
    max_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = 256
    top_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 1.0
    top_k: Annotated[int, Field(ge=-1, lt=2**31)] = -1
    stream: bool = False
    seed: Seed | None = None


class LlmRequest(RunnerLlm):
    """A request as an orchestrator takes it: it is billed by `max_tokens`, so these have to be said."""

    max_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = None


class Llm(Kind[RunnerLlm]):
    """Billed by the tokens that may come back, not by those that do."""

    pipeline = Pipeline.LLM
    title = "LLM"
    fields = LlmRequest
    runner_fields = RunnerLlm
    model_field = "model"
    failed = "Internal server error during LLM processing."
    out_of_memory = failed
    one_failure = True
    dot = ""
    token_dot = ""

    def units(self, fields: RunnerLlm, upload: bytes | None) -> int:
        """Tokens that may come back. Raises Unbillable where the request does not say."""
        if fields.max_tokens is None:
            raise Unbillable("MaxTokens not specified")
        return fields.max_tokens

    def streams(self, fields: RunnerLlm) -> bool:
        """Where the request asks for it."""
        return fields.stream

    def proof(self, settings: RunnerSettings) -> tuple[RunnerLlm, None]:
        """Two words."""
        message = Message(role="user", content="Say hello.")
        return RunnerLlm(messages=(message,), max_tokens=2, temperature=0), None

    def load(self, settings: RunnerSettings) -> "LlmModel":
        """Load it through transformers."""
        return LlmModel(settings)


KIND = Llm()


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    usage: Usage
    finish: Finish | None  # set in the last one


class LlmModel(OnDevice):
    """One set of weights, which any number of answers read at once; each has its own memory of its text."""

    def __init__(self, settings: RunnerSettings) -> None:
        """Load the weights, a folder's one `*.gguf` where it holds such. Raises whatever transformers does."""
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging as transformers_logging

        super().__init__(settings)
        transformers_logging.disable_progress_bar()
        where = {"revision": settings.revision, **_gguf_in(Path(settings.source))}
        self._tokenizer: Any = AutoTokenizer.from_pretrained(settings.source, **where)
        model: Any = AutoModelForCausalLM.from_pretrained(settings.source, dtype=self.dtype, **where)
        self._model = model.to(self.device).eval()
        self._ends = _ends_of(self._model, self._tokenizer)
        self._context = _context_of(self._model, settings)
        self._name = settings.model_id
        # A fast tokenizer counts borrowers and fails the second one of a moment.
        self._one_at_a_time = threading.Lock()

    def run(self, fields: RunnerLlm, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        """The whole answer. `seed` counts as drawn here unless the request names it."""
        pieces = list(self._pieces(fields, seed, stop))
        finish, usage = pieces[-1].finish or Finish.STOP, pieces[-1].usage
        return AiResult(self._conversation().whole("".join(piece.text for piece in pieces), finish, usage))

    def stream(self, fields: RunnerLlm, stop: Stop) -> Iterator[Mapping[str, Any]]:
        """A chunk for each piece of text, and one that ends them."""
        conversation = self._conversation()
        for piece in self._pieces(fields, fields.seed, stop):
            if piece.text:
                yield conversation.chunk(piece.text, piece.usage)
            if piece.finish is not None:
                yield conversation.last_chunk(piece.finish, piece.usage)

    def _conversation(self) -> Conversation:
        return Conversation(f"chatcmpl-{secrets.token_hex(12)}", self._name, int(time.time()))

    def _pieces(self, fields: RunnerLlm, seed: int | None, stop: Stop) -> Iterator[_Piece]:
        """At least one, the last with a finish."""
        prompt = self._prompt(fields.messages)
        room = min(fields.max_tokens or MAX_TOKENS, self._context - len(prompt))
        sampling = Sampling(fields.temperature, fields.top_p, fields.top_k, seed)
        made, pieces, finish = 0, Pieces(self._decode), Finish.STOP
        for token in tokens(self._model, prompt, sampling, ends=self._ends, stop=stop):
            made += 1
            yield _Piece(pieces.add(token), Usage(len(prompt), made), None)
            if made == room:
                finish = Finish.LENGTH
                break
        yield _Piece(pieces.rest(), Usage(len(prompt), made), finish)

    def _prompt(self, messages: Sequence[Message]) -> list[int]:
        """The conversation as tokens. Raises BadFields for one that this model cannot take."""
        from jinja2 import TemplateError

        with self._one_at_a_time:
            try:
                text = self._as_text([message.model_dump() for message in messages])
            except TemplateError as error:
                raise BadFields(f"messages: the model's chat template refuses them: {error}") from error
            # The template writes the tokens that stand for "start" and "end" itself.
            prompt: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(prompt) >= self._context:
            raise BadFields(
                f"messages: the prompt has {len(prompt)} tokens and leaves no room for an answer in the "
                f"{self._context} that the model can take"
            )
        return prompt

    def _as_text(self, messages: list[dict[str, Any]]) -> str:
        if self._tokenizer.chat_template:
            text: str = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            return text
        said = "".join(f"{message['role']}: {message['content']}\n" for message in messages)
        return f"{self._tokenizer.bos_token or ''}{said}assistant:"

    def _decode(self, given: Sequence[int]) -> str:
        with self._one_at_a_time:
            text: str = self._tokenizer.decode(given, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


def _gguf_in(folder: Path) -> dict[str, str]:
    """Which of llama.cpp's files to read. Raises ValueError where it is not clear."""
    files = sorted(file.name for file in folder.glob("*.gguf")) if folder.is_dir() else []
    if len(files) > 1:
        raise ValueError(f"{folder} holds {', '.join(files)}: leave one")
    return {"gguf_file": files[0]} if files else {}


def _ends_of(model: Any, tokenizer: Any) -> frozenset[int]:
    declared = model.generation_config.eos_token_id
    ends = declared if isinstance(declared, list) else [declared]
    return frozenset(end for end in itertools.chain(ends, [tokenizer.eos_token_id]) if end is not None)


def _context_of(model: Any, settings: RunnerSettings) -> int:
    """Tokens of prompt and answer: the model's own limit, or the entry's `MAX_MODEL_LEN` where that is less."""
    own: int = model.config.get_text_config().max_position_embeddings
    flag = settings.optimization.get(_CONTEXT_FLAG, "")
    return min(own, int(flag)) if isinstance(flag, str) and flag.isdecimal() and int(flag) else own
