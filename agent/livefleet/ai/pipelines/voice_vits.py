"""VITS by transformers, such as the voices of MMS-TTS."""
# transformers annotates half of its functions.
# mypy: disable-error-code="no-untyped-call"

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livefleet.ai.jobs import AiResult
from livefleet.ai.pipelines.device import OnDevice, memory_errors
from livefleet.ai.pipelines.sentences import sentences_of
from livefleet.ai.pipelines.text_to_speech import RunnerTextToSpeech, spoken
from livefleet.ai.settings import RunnerSettings
from livefleet.ai.stop import Stop

__all__ = ["VitsVoice"]

_LONGEST = 400  # characters; attention takes memory by their square


class VitsVoice(OnDevice):
    """The loaded voice; weights and tokenizer are only read."""

    def __init__(self, settings: RunnerSettings) -> None:
        """Load the weights. Raises whatever transformers does."""
        from transformers import AutoTokenizer, VitsModel

        super().__init__(settings)
        at: dict[str, Any] = {"pretrained_model_name_or_path": settings.source, "revision": settings.revision}
        self._tokenizer: Any = AutoTokenizer.from_pretrained(**at)
        model: Any = VitsModel.from_pretrained(**at, dtype=self.dtype)
        self._model = model.to(self.device).eval()
        self.rate = int(model.config.sampling_rate)

    def run(self, fields: RunnerTextToSpeech, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        """Say it."""
        with memory_errors():
            return spoken(self, fields, stop)

    def say(self, text: str, description: str, stop: Stop) -> Iterator[NDArray[np.float32]]:
        """Sentence by sentence; VITS has no use for a description."""
        import torch

        for sentence in sentences_of(text, _LONGEST):
            tokens = self._tokenizer(sentence, return_tensors="pt")
            if not tokens["input_ids"].numel():
                continue
            with torch.inference_mode():
                wave = self._model(**tokens.to(self.device)).waveform
            yield wave[0].float().cpu().numpy()
