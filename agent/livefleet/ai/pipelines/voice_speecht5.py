"""SpeechT5 by transformers, with its HiFi-GAN vocoder."""
# transformers annotates half of its functions.
# mypy: disable-error-code="no-untyped-call"

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livefleet.ai.jobs import AiResult
from livefleet.ai.pipelines.device import OnDevice, memory_errors
from livefleet.ai.pipelines.sentences import sentences_of
from livefleet.ai.pipelines.text_to_speech import RunnerTextToSpeech, spoken
from livefleet.ai.settings import RunnerSettings
from livefleet.ai.stop import Stop

__all__ = ["SPEAKER_FILE", "VOCODER_FOLDER", "SpeechT5Voice"]

VOCODER_FOLDER = "vocoder"
"""Where a folder of weights has the vocoder; weights of the hub take the hub's."""

SPEAKER_FILE = "speaker.npy"
"""Who speaks: an x-vector, float32 [speaker_embedding_dim], beside the weights. Without it, nobody in particular."""

_VOCODER = "microsoft/speecht5_hifigan"
_LONGEST = 300  # characters; its positions end at 600 tokens


class SpeechT5Voice(OnDevice):
    """The loaded voice, vocoder and speaker; all are only read."""

    def __init__(self, settings: RunnerSettings) -> None:
        """Load the weights. Raises FileNotFoundError for a folder without vocoder, else whatever transformers does."""
        from transformers import SpeechT5ForTextToSpeech, SpeechT5HifiGan, SpeechT5Tokenizer

        super().__init__(settings)
        at: dict[str, Any] = {"pretrained_model_name_or_path": settings.source, "revision": settings.revision}
        self._tokenizer: Any = SpeechT5Tokenizer.from_pretrained(**at)
        model: Any = SpeechT5ForTextToSpeech.from_pretrained(**at, dtype=self.dtype)
        vocoder: Any = SpeechT5HifiGan.from_pretrained(_vocoder_of(settings.source), dtype=self.dtype)
        self._model = model.to(self.device).eval()
        self._vocoder = vocoder.to(self.device).eval()
        self._speaker = self._speaker_of(Path(settings.source), model.config.speaker_embedding_dim)
        self.rate = int(vocoder.config.sampling_rate)

    def run(self, fields: RunnerTextToSpeech, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        """Say it."""
        with memory_errors():
            return spoken(self, fields, stop)

    def say(self, text: str, description: str, stop: Stop) -> Iterator[NDArray[np.float32]]:
        """Sentence by sentence; SpeechT5 has no use for a description."""
        import torch

        for sentence in sentences_of(text, _LONGEST):
            tokens = self._tokenizer(sentence, return_tensors="pt").to(self.device)
            with torch.inference_mode():
                wave = self._model.generate_speech(tokens["input_ids"], self._speaker, vocoder=self._vocoder)
            yield wave.float().cpu().numpy()

    def _speaker_of(self, folder: Path, size: int) -> Any:
        """float32 [1, size]. Raises ValueError for a file of another shape."""
        import torch

        file = folder / SPEAKER_FILE
        found = np.load(file, allow_pickle=False) if file.is_file() else np.zeros(size, np.float32)
        if found.shape != (size,):
            raise ValueError(f"{file} has the shape {found.shape}; this model takes ({size},)")
        return torch.from_numpy(found).to(self.device, self.dtype)[None]


def _vocoder_of(source: str) -> str:
    if not Path(source).is_dir():
        return _VOCODER
    folder = Path(source) / VOCODER_FOLDER
    if not folder.is_dir():
        raise FileNotFoundError(f"SpeechT5 speaks through a vocoder: put {_VOCODER} at {folder}")
    return str(folder)
