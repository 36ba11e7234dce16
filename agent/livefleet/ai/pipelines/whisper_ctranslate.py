"""Whisper by faster-whisper: weights converted for CTranslate2 (`model.bin`). Needs no torch on a CPU."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livefleet.ai.errors import OutOfMemory
from livefleet.ai.jobs import AiResult
from livefleet.ai.pipelines.audio_to_text import Chunk, RunnerAudioToText, Timestamps, heard
from livefleet.ai.settings import CPU, RunnerSettings
from livefleet.ai.stop import Stop

__all__ = ["FasterWhisper"]

_BEAMS = 5


class FasterWhisper:
    """The loaded model, with as many workers as there may be jobs at once."""

    def __init__(self, settings: RunnerSettings) -> None:
        """Load the weights. Raises FileNotFoundError where none are converted, else what the library does."""
        folder = Path(settings.source)
        if folder.is_dir() and not (folder / "model.bin").is_file():
            raise FileNotFoundError(
                f"faster-whisper needs weights converted for CTranslate2, but {folder} has no model.bin: name a folder "
                f"that ct2-transformers-converter made, or take the backend transformers"
            )
        from faster_whisper import WhisperModel

        self._model: Any = WhisperModel(
            settings.source,
            device=CPU if settings.device == CPU else "cuda",
            compute_type=settings.dtype,
            cpu_threads=settings.cpu_threads,
            num_workers=settings.capacity,
            revision=settings.revision,
        )

    def run(self, fields: RunnerAudioToText, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        """Transcribe it."""
        return heard(self, fields, upload or b"", stop)

    def hear(self, sound: NDArray[np.float32], timestamps: Timestamps, stop: Stop) -> tuple[str, list[Chunk]]:
        """Window after window of 30 s."""
        words = timestamps is Timestamps.WORDS
        texts, chunks = [], []
        try:
            segments, _ = self._model.transcribe(sound, beam_size=_BEAMS, word_timestamps=words)
            for segment in segments:
                stop.check()
                texts.append(segment.text)
                if words:
                    chunks += [Chunk(word.word, float(word.start), float(word.end)) for word in segment.words]
                elif timestamps is Timestamps.SEGMENTS:
                    chunks.append(Chunk(segment.text, float(segment.start), float(segment.end)))
        except RuntimeError as error:
            # CTranslate2 has no class of its own for it.
            if "out of memory" in str(error).lower():
                raise OutOfMemory(str(error)) from error
            raise
        return "".join(texts), chunks
