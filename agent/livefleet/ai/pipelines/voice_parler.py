"""Parler-TTS, whose description tells how to speak, by the package parler_tts."""
# parler_tts is not typed.
# mypy: disable-error-code="no-untyped-call"

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livefleet.ai.jobs import AiResult
from livefleet.ai.pipelines.device import OnDevice, memory_errors
from livefleet.ai.pipelines.sentences import sentences_of
from livefleet.ai.pipelines.stopping import stopping
from livefleet.ai.pipelines.text_to_speech import RunnerTextToSpeech, spoken
from livefleet.ai.settings import RunnerSettings
from livefleet.ai.stop import Stop

__all__ = ["ParlerVoice"]

_LONGEST = 300  # characters; the model was trained on sounds of up to 30 s


class ParlerVoice(OnDevice):
    """The loaded voice; weights and tokenizer are only read."""

    def __init__(self, settings: RunnerSettings) -> None:
        """Load the weights. Raises ModuleNotFoundError without parler_tts, else what it does."""
        try:
            parler = importlib.import_module("parler_tts")
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "this voice is Parler-TTS's: install parler_tts into an environment of its own (it asks for an older "
                "transformers) and name its ai-runner by `url`"
            ) from error
        from transformers import AutoTokenizer

        super().__init__(settings)
        model = parler.ParlerTTSForConditionalGeneration.from_pretrained(
            settings.source, revision=settings.revision, torch_dtype=self.dtype
        )
        self._model: Any = model.to(self.device).eval()
        self._tokenizer: Any = AutoTokenizer.from_pretrained(settings.source, revision=settings.revision)
        self.rate = int(model.config.sampling_rate)

    def run(self, fields: RunnerTextToSpeech, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        """Say it."""
        with memory_errors():
            return spoken(self, fields, stop)

    def say(self, text: str, description: str, stop: Stop) -> Iterator[NDArray[np.float32]]:
        """Sentence by sentence, each by the description."""
        import torch

        how = self._tokenizer(description, return_tensors="pt").to(self.device)
        for sentence in sentences_of(text, _LONGEST):
            what = self._tokenizer(sentence, return_tensors="pt").to(self.device)
            with torch.inference_mode():
                wave = self._model.generate(
                    input_ids=how["input_ids"],
                    attention_mask=how["attention_mask"],
                    prompt_input_ids=what["input_ids"],
                    prompt_attention_mask=what["attention_mask"],
                    stopping_criteria=stopping(stop),
                )
            yield wave.float().cpu().numpy().reshape(-1)
