"""A model that an Ollama server at the entry's `url` serves: pulled, kept loaded, watched, and asked in its own way.

Gateways ask for the entry's `model_id`; `source: ollama:NAME:TAG` says what Ollama calls it.
"""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final

from livefleet.ai.advertising import RunnerView
from livefleet.ai.catalogue import Placement
from livefleet.ai.chat import Conversation, Usage
from livefleet.ai.errors import NoCapacity, RunnerLost, RunnerRefused
from livefleet.ai.jobs import AiJob, AiResult
from livefleet.ai.ollama_api import ChatPiece, OllamaApi, OllamaFailed, Pulling, full_tag
from livefleet.ai.pipelines import kind_of
from livefleet.ai.settings import RUNNER_VERSION
from livefleet.ai.watch import RunnerState, WatchLimits
from livefleet.kernel import Backoff, LivefleetError, run_duty
from livefleet.spec import ModelEntry, Pipeline

__all__ = ["OLLAMA", "OllamaModel", "is_ollama"]

OLLAMA: Final = "ollama:"
"""What an entry's `source` starts with."""

OLLAMA_LIMITS: Final = WatchLimits(load_timeout_s=120.0)

log = logging.getLogger(__name__)

_MIB: Final = 2**20


def is_ollama(entry: ModelEntry) -> bool:
    """Whether an Ollama server is meant."""
    return entry.url is not None and (entry.source or "").startswith(OLLAMA)


class OllamaModel:
    """Has the server pull the model and, where it is declared warm, keep it loaded; answers while it does.

    `run` is its duty; everything else may be called beside it, on the same loop.
    """

    pid: None = None

    def __init__(
        self,
        placement: Placement,
        *,
        token: str | None,
        request_timeout_s: float,
        rng: random.Random,
        on_change: Callable[[], None],
        limits: WatchLimits = OLLAMA_LIMITS,
    ) -> None:
        """`token`: what the entry's secret holds. The placement's entry is one of `is_ollama` and of pipeline llm."""
        entry = placement.entry
        assert entry.url is not None
        assert entry.source is not None
        assert entry.pipeline is Pipeline.LLM
        self.placement = placement
        self.in_use = 0
        self.state = RunnerState.LOST
        self.vram = 0
        """Bytes of GPU memory that the server says the model takes."""

        self._tag = full_tag(entry.source.removeprefix(OLLAMA))
        self._url = entry.url.rstrip("/")
        self._token = token
        self._request_timeout_s = request_timeout_s
        self._rng = rng
        self._on_change = on_change
        self._limits = limits
        self._reason, self._message = "Waiting", f"waiting for {self._url}"
        self._is_faulty = False
        self._api: OllamaApi | None = None  # while the model can be asked
        self._look_now = asyncio.Event()

    @property
    def proved_ago_s(self) -> float | None:
        """Not known: the server says what it has loaded, and is asked for nothing else."""
        return None

    def view(self) -> RunnerView:
        """What is told of it. It answers in ai-runner's shapes, so that is the version it goes by."""
        entry = self.placement.entry
        return RunnerView(
            pipeline=entry.pipeline,
            model_id=entry.model_id,
            declared_warm=entry.warm,
            state=self.state,
            reason=self._reason,
            message=self._message,
            faulty=self._is_faulty,
            capacity=entry.capacity,
            in_use=self.in_use,
            runner_version=RUNNER_VERSION if self._api is not None else "",
        )

    async def run(self) -> None:
        """Pull, load and keep looking until cancelled."""
        backoff = Backoff(first_s=1.0, factor=2.0, cap_s=60.0, jitter=0.2)
        name = f"model {self._tag} at {self._url}"
        await run_duty(name, self._serve, on_failure=self._lost, backoff=backoff, rng=self._rng)

    async def run_job(self, job: AiJob) -> AiResult:
        """The whole answer. Raises RunnerRefused, NoCapacity. Cancelling stops the server's computing."""
        conversation, text, count = self._conversation(), "", 0
        async with aclosing(self._answer(job)) as pieces:
            async for piece in pieces:
                text, count = text + piece.text, count + 1
                if piece.finish is not None:
                    return AiResult(conversation.whole(text, piece.finish, _usage(piece, count)))
        raise self._failed("the answer has no end")

    async def stream_job(self, job: AiJob) -> AsyncGenerator[Mapping[str, Any], None]:
        """Its chunks. Tokens of the prompt are known at the end only, and are 0 before. Raises as `run_job`."""
        conversation, count = self._conversation(), 0
        async with aclosing(self._answer(job)) as pieces:
            async for piece in pieces:
                count += 1
                if piece.text:
                    yield conversation.chunk(piece.text, _usage(piece, count))
                if piece.finish is not None:
                    yield conversation.last_chunk(piece.finish, _usage(piece, count))

    def _conversation(self) -> Conversation:
        return Conversation(f"chatcmpl-{secrets.token_hex(12)}", self.placement.entry.model_id, int(time.time()))

    async def _answer(self, job: AiJob) -> AsyncGenerator[ChatPiece, None]:
        """Up to a piece with a finish, all within the request's time."""
        if self._api is None:
            raise NoCapacity(self.placement.entry.model_id, self._message)
        deadline = asyncio.get_running_loop().time() + self._request_timeout_s
        messages, warm = list(job.fields["messages"]), self.placement.entry.warm
        try:
            async with aclosing(self._api.chat(self._tag, messages, _options(job.fields), keep=warm)) as pieces:
                while True:
                    async with asyncio.timeout_at(deadline):
                        piece = await anext(pieces)
                    yield piece
                    if piece.finish is not None:
                        return
        except TimeoutError as error:
            raise self._failed(f"no answer within {self._request_timeout_s:g} s") from error
        except OllamaFailed as error:
            # It may be gone, or have lost the model; what is advertised should not wait for the next look.
            self._look_now.set()
            raise self._failed(str(error)) from error

    def _failed(self, why: str) -> RunnerRefused:
        kind = kind_of(Pipeline.LLM)
        log.warning("ai.job_failed", extra={"model": self._tag, "url": self._url, "error": why})
        return RunnerRefused(f"{kind.title} container returned 500: {kind.failed}")

    async def _serve(self) -> None:
        """Until it is lost; raises RunnerLost, OllamaFailed."""
        limits = self._limits
        async with OllamaApi(
            self._url, token=self._token, quick_s=limits.health_timeout_s, silence_s=limits.load_timeout_s
        ) as api:
            self._getting("Waiting", f"waiting for {self._url}")
            if self._tag not in await api.pulled():
                await self._pull(api)
            if self.placement.entry.warm:
                await self._prove(api)
            self._api = api
            self._is_faulty = False
            log.info("ai.ollama_model_answers", extra={"model": self._tag, "url": self._url})
            try:
                await self._watch(api)
            finally:
                self._api = None
                self.state = RunnerState.LOST

    async def _pull(self, api: OllamaApi) -> None:
        log.info("ai.ollama_pull_started", extra={"model": self._tag, "url": self._url})
        told = ""
        async with aclosing(api.pull(self._tag)) as steps:
            async for step in steps:
                if (said := _progress(step)) != told:
                    told = said
                    self._getting("Pulling", f"{self._url} pulls {self._tag}: {said}")
                    log.info("ai.ollama_pull", extra={"model": self._tag, "progress": said})
        log.info("ai.ollama_pulled", extra={"model": self._tag, "url": self._url})

    async def _prove(self, api: OllamaApi) -> None:
        """Load it by having it say one word. Raises OllamaFailed."""
        self._getting("Loading", f"{self._url} loads {self._tag}")
        hello = [{"role": "user", "content": "Say hello."}]
        async with aclosing(api.chat(self._tag, hello, {"num_predict": 1}, keep=True)) as pieces:
            async for _ in pieces:
                pass

    async def _watch(self, api: OllamaApi) -> None:
        failures = 0
        while True:
            self._look_now.clear()
            try:
                await self._look(api)
                failures = 0
            except OllamaFailed as error:
                failures += 1
                log.warning("ai.health_missed", extra={"model": self._tag, "url": self._url})
                if failures >= self._limits.failures_to_kill:
                    raise RunnerLost("NotAnswering", f"no healthy answer to {failures} checks: {error}") from error
            wait_s = self._limits.loading_every_s if failures else self._limits.health_every_s
            try:
                async with asyncio.timeout(wait_s):
                    await self._look_now.wait()
            except TimeoutError:
                pass

    async def _look(self, api: OllamaApi) -> None:
        loaded = await api.loaded()
        self.vram = loaded.get(self._tag, 0)
        if self._tag in loaded:
            memory = f", {self.vram / _MIB:.0f} MiB of GPU memory" if self.vram else ""
            self._now(RunnerState.READY, "Answering", f"{self._tag} is loaded at {self._url}{memory}")
            return
        if self._tag not in await api.pulled():
            raise RunnerLost("ModelGone", f"the server has no {self._tag} any more")
        if self.placement.entry.warm:
            raise RunnerLost("Unloaded", f"the server has unloaded {self._tag}")
        self._now(RunnerState.COLD, "Cold", f"{self._tag} is pulled at {self._url} and loads at the first request")

    def _lost(self, error: BaseException) -> None:
        self._is_faulty = True
        reason = error.reason if isinstance(error, RunnerLost) else type(error).__name__
        text = str(error) if isinstance(error, LivefleetError) else f"{type(error).__name__}: {error}"
        self._now(RunnerState.LOST, reason, text)

    def _getting(self, reason: str, message: str) -> None:
        """Not to be asked yet. A model that is declared cold takes requests while loading, which this one cannot."""
        state = RunnerState.LOADING if self.placement.entry.warm else RunnerState.LOST
        if self._is_faulty:
            self.state = state
            self._on_change()
        else:
            self._now(state, reason, message)

    def _now(self, state: RunnerState, reason: str, message: str) -> None:
        is_news = (state, reason, message) != (self.state, self._reason, self._message)
        self.state, self._reason, self._message = state, reason, message
        if is_news:
            self._on_change()


def _options(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """A request's fields by Ollama's names. Its own default would draw from the 40 likeliest; 0 is no limit."""
    options = {
        "temperature": fields["temperature"],
        "top_p": fields["top_p"],
        "top_k": max(0, fields["top_k"]),
        "num_predict": fields["max_tokens"],
    }
    return options | ({"seed": fields["seed"]} if "seed" in fields else {})


def _usage(piece: ChatPiece, count: int) -> Usage:
    """Ollama counts at the end; before, each of its lines is a token."""
    return Usage(piece.prompt_tokens, piece.completion_tokens) if piece.finish is not None else Usage(0, count)


def _progress(step: Pulling) -> str:
    """In steps of 5 %, so that it makes some 20 lines a file and not thousands."""
    if not step.total:
        return step.what
    share = 100 * step.done // step.total // 5 * 5
    return f"{step.what} {share} % of {step.total / 1e9:.2f} GB"
