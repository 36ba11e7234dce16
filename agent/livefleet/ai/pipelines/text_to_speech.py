"""Text to speech: a WAV file by whichever voice model the weights are for."""

import json
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import Field

from livefleet.ai.errors import InferenceFailed
from livefleet.ai.jobs import AiResult, Media
from livefleet.ai.kinds import JobFields, Kind, Model, ModelId
from livefleet.ai.pipelines.waveform import wav_of
from livefleet.ai.settings import RunnerSettings
from livefleet.ai.stop import Stop
from livefleet.spec import Pipeline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["KIND", "MAX_CHARACTERS", "Architecture", "Voice", "architecture_of", "spoken"]

MAX_CHARACTERS = 10_000
"""Longest text; ai-runner's limit."""

_MAX_DESCRIPTION = 1000
_UNITS_A_CHARACTER = 1000
_PAUSE_S = 0.2  # between two sentences
_DESCRIPTION = (
    "A male speaker delivers a slightly expressive and animated speech with a moderate speed and pitch."  # ai-runner's
)


class Voice(Protocol):
    """A loaded voice. Called on worker threads, `capacity` at once."""

    rate: int
    """Samples a second."""

    def say(self, text: str, description: str, stop: Stop) -> "Iterator[NDArray[np.float32]]":
        """Sentence by sentence: float32 [samples] in -1..1. Nothing for what it has no sound for.

        Raises as `Model.run` does.
        """
        ...


class RunnerTextToSpeech(JobFields):
    """A request; defaults are the same on both sides."""

    model_id: ModelId = ""
    text: Annotated[str, Field(max_length=MAX_CHARACTERS)] = ""
    description: Annotated[str, Field(max_length=_MAX_DESCRIPTION)] = _DESCRIPTION


class TextToSpeech(Kind[RunnerTextToSpeech]):
    """Billed 1000 units a Unicode character."""

    pipeline = Pipeline.TEXT_TO_SPEECH
    title = "text-to-speech"
    fields = RunnerTextToSpeech
    runner_fields = RunnerTextToSpeech
    out_of_memory = "Out of memory error. Try reducing text input length."
    failed = "Text-to-speech pipeline error."
    dot = ""

    def fault(self, fields: RunnerTextToSpeech, upload: bytes | None) -> str | None:
        """Nothing to say."""
        return None if fields.text.strip() else "Text input must be provided."

    def units(self, fields: RunnerTextToSpeech, upload: bytes | None) -> int:
        """Characters times 1000."""
        return len(fields.text) * _UNITS_A_CHARACTER

    def media(self, fields: RunnerTextToSpeech) -> int:
        """One file."""
        return 1

    def proof(self, settings: RunnerSettings) -> tuple[RunnerTextToSpeech, None]:
        """One word, in the letters that most voices know."""
        return RunnerTextToSpeech(text="hello"), None

    def load(self, settings: RunnerSettings) -> Model[RunnerTextToSpeech]:
        """Load it by the class that its files are of."""
        match architecture_of(settings.source, settings.revision):
            case Architecture.PIPER:
                from livefleet.ai.pipelines.voice_piper import PiperModel

                return PiperModel(settings)
            case Architecture.VITS:
                from livefleet.ai.pipelines.voice_vits import VitsVoice

                return VitsVoice(settings)
            case Architecture.SPEECHT5:
                from livefleet.ai.pipelines.voice_speecht5 import SpeechT5Voice

                return SpeechT5Voice(settings)
            case Architecture.PARLER:
                from livefleet.ai.pipelines.voice_parler import ParlerVoice

                return ParlerVoice(settings)


KIND = TextToSpeech()


class Architecture(Enum):
    """What a voice is loaded by; transformers' names of model types, but for Piper's."""

    PIPER = "piper"
    VITS = "vits"
    SPEECHT5 = "speecht5"
    PARLER = "parler_tts"


def architecture_of(source: str, revision: str | None = None) -> Architecture:
    """By the files: `*.onnx` with its `.json` is Piper's, `config.json` names the others.

    Raises ValueError for one that is not served, OSError where there is no configuration.
    """
    folder = Path(source)
    if folder.is_dir() and any(file.with_name(f"{file.name}.json").is_file() for file in folder.glob("*.onnx")):
        return Architecture.PIPER
    found = _configuration(source, revision).get("model_type")
    try:
        return Architecture(found)
    except ValueError as error:
        served = ", ".join(member.value for member in Architecture)
        raise ValueError(f"{source} is a model of type `{found}`; for speech there are {served}") from error


def _configuration(source: str, revision: str | None) -> dict[str, Any]:
    folder = Path(source)
    if folder.is_dir():
        found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return found
    from transformers import PretrainedConfig

    return PretrainedConfig.get_config_dict(source, revision=revision)[0]


def spoken(voice: Voice, fields: RunnerTextToSpeech, stop: Stop) -> AiResult:
    """Have it said. Raises InferenceFailed for a text that the voice has no sound for."""
    import numpy as np

    stop.check()
    sentences: list[NDArray[np.float32]] = []
    for sentence in voice.say(fields.text, fields.description, stop):
        sentences.append(sentence)
        stop.check()
    if not any(sentence.size for sentence in sentences):
        raise InferenceFailed("The model has no sound for any character of the text")
    pause = np.zeros(int(_PAUSE_S * voice.rate), np.float32)
    parts: list[Any] = [part for sentence in sentences for part in (sentence, pause)]
    return AiResult({"audio": {"url": "0"}}, {"0": Media(wav_of(np.concatenate(parts[:-1]), voice.rate), "audio/wav")})
