"""Piper's voices (`*.onnx` and `*.onnx.json`), by the package piper-tts: quick on a CPU, and without torch."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livefleet.ai.jobs import AiResult
from livefleet.ai.pipelines.text_to_speech import RunnerTextToSpeech, spoken
from livefleet.ai.settings import CPU, RunnerSettings
from livefleet.ai.stop import Stop

__all__ = ["PiperModel"]


class PiperModel:
    """The loaded voice; threads may share it."""

    def __init__(self, settings: RunnerSettings) -> None:
        """Load the folder's voice, of several the first by name.

        Raises ModuleNotFoundError without piper-tts, ValueError for a GPU that onnxruntime was not built for.
        """
        try:
            from piper import PiperVoice
            from piper.config import PiperConfig
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("this voice is Piper's: install piper-tts beside livefleet") from error
        file = min(Path(settings.source).glob("*.onnx"))
        config = json.loads(file.with_name(f"{file.name}.json").read_text(encoding="utf-8"))
        self._voice: Any = PiperVoice(session=_session(file, settings), config=PiperConfig.from_dict(config))
        self.rate = int(self._voice.config.sample_rate)

    def run(self, fields: RunnerTextToSpeech, upload: bytes | None, seed: int, stop: Stop) -> AiResult:
        """Say it."""
        return spoken(self, fields, stop)

    def say(self, text: str, description: str, stop: Stop) -> Iterator[NDArray[np.float32]]:
        """Piper finds the sentences itself; it has no use for a description."""
        for chunk in self._voice.synthesize(text):
            yield chunk.audio_float_array


def _session(file: Path, settings: RunnerSettings) -> Any:
    """With our number of threads, and on our device or not at all."""
    import onnxruntime

    provider = "CPUExecutionProvider" if settings.device == CPU else "CUDAExecutionProvider"
    if provider not in onnxruntime.get_available_providers():
        raise ValueError(
            "this onnxruntime knows no GPU: declare the voice with `device: cpu`, or install onnxruntime-gpu"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.cpu_threads
    return onnxruntime.InferenceSession(str(file), options, providers=[provider])
