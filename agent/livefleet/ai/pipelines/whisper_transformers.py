"""Whisper and other speech models by transformers."""
# transformers annotates half of its functions.
# mypy: disable-error-code="no-untyped-call"

import copy
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livefleet.ai.jobs import AiResult
from livefleet.ai.pipelines.audio_to_text import Chunk, RunnerAudioToText, Timestamps, heard
from livefleet.ai.pipelines.device import OnDevice, memory_errors
from livefleet.ai.pipelines.stopping import stopping
from livefleet.ai.pipelines.waveform import HEARING_RATE
from livefleet.ai.settings import RunnerSettings
from livefleet.ai.stop import Stop

__all__ = ["TransformersWhisper"]

_WINDOW_S = 30
_MOST_TOKENS = 224  # of a window: half of what the model remembers, as Whisper's authors have it


class TransformersWhisper(OnDevice):
    """One set of weights, and a pipeline with its own tokenizer for each job that may run at once."""

    def __init__(self, settings: RunnerSettings) -> None:
        """Load the weights. Raises whatever transformers does."""
        from transformers import AutoModelForSpeechSeq2Seq, AutoProcessor, pipeline
        from transformers.utils import logging as transformers_logging

        super().__init__(settings)
        transformers_logging.disable_progress_bar()
        model = AutoModelForSpeechSeq2Seq.from_pretrained(
            settings.source, revision=settings.revision, dtype=self.dtype
        ).to(self.device)
        processor = AutoProcessor.from_pretrained(settings.source, revision=settings.revision)
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(settings.capacity):
            self._free.put(
                pipeline(
                    "automatic-speech-recognition",
                    model=model,
                    tokenizer=copy.deepcopy(processor.tokenizer),
                    feature_extractor=processor.feature_extractor,
                    dtype=self.dtype,
                    device=self.device,
                )
            )

    def run(self, fields: RunnerAudioToText, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        """Transcribe it."""
        return heard(self, fields, upload or b"", stop)

    def hear(self, sound: NDArray[np.float32], timestamps: Timestamps, stop: Stop) -> tuple[str, list[Chunk]]:
        """Window after window, each from where the last one's words end; that is why it needs their times.

        Overlapping windows in one batch would be quicker, but what is said twice in them comes out once.
        """
        seconds = sound.size / HEARING_RATE
        wanted = timestamps if seconds <= _WINDOW_S or timestamps is Timestamps.WORDS else Timestamps.SEGMENTS
        with self._a_pipeline() as recognise, memory_errors():
            found = recognise(
                sound,
                return_timestamps=_ASKED[wanted],
                generate_kwargs={"stopping_criteria": stopping(stop), "max_new_tokens": _most_tokens(seconds)},
            )
        chunks = found.get("chunks", ()) if timestamps is not Timestamps.NONE else ()
        return found["text"], [_chunk(chunk, seconds) for chunk in chunks]

    @contextmanager
    def _a_pipeline(self) -> Iterator[Any]:
        pipeline = self._free.get()
        try:
            yield pipeline
        finally:
            self._free.put(pipeline)


def _most_tokens(seconds: float) -> int:
    """For one window. More than can be said in the time is made up: models go on for long about silence."""
    return min(_MOST_TOKENS, 16 + int(24 * seconds))


_ASKED = {Timestamps.NONE: False, Timestamps.SEGMENTS: True, Timestamps.WORDS: "word"}


def _chunk(chunk: dict[str, Any], seconds: float) -> Chunk:
    """The model may leave an end open: then it is the sound's."""
    start, end = chunk["timestamp"]
    return Chunk(chunk["text"], float(start or 0), float(seconds if end is None else end))
