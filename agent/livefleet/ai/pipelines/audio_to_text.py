"""Audio to text: Whisper and its kin, by transformers or by faster-whisper."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import Field

from livefleet.ai.errors import BadUpload, Unbillable
from livefleet.ai.jobs import AiResult
from livefleet.ai.kinds import JobFields, Kind, Model, ModelId, Upload
from livefleet.ai.pipelines.waveform import HEARING_RATE, silence, waveform_of
from livefleet.ai.settings import RunnerSettings
from livefleet.ai.sounds import NO_DURATION, seconds_of
from livefleet.ai.stop import Stop
from livefleet.spec import Pipeline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["KIND", "MAX_SECONDS", "Backend", "Chunk", "Recogniser", "Timestamps", "backend_of", "heard"]

MAX_SECONDS = 2 * 60 * 60
"""Longest sound. An hour takes 230 MB decoded, and for moments five times that where its spectrum is made."""

_UNITS_A_SECOND = 1000
_UNKNOWN_DURATION = "Unable to calculate duration of file"  # ai-runner's words, without a dot
_SLACK_S = 30.0  # how far a file may go on past twice the length that its headers tell


class Timestamps(Enum):
    """What chunks of the text are told with their times."""

    NONE = ("false", "0")
    SEGMENTS = ("true", "1", "sentence")
    WORDS = ("word",)

    @classmethod
    def named(cls, text: str) -> "Timestamps":
        """By ai-runner's names, in any case. Raises ValueError."""
        for member in cls:
            if text.lower() in member.value:
                return member
        names = ", ".join(f"`{name}`" for member in cls for name in member.value)
        raise ValueError(f"`return_timestamps` has to be one of {names} but is `{text[:40]}`.")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of the text, and when it is said, in seconds."""

    text: str
    start: float
    end: float


class Recogniser(Protocol):
    """A loaded speech model. Called on worker threads, `capacity` at once."""

    def hear(self, sound: "NDArray[np.float32]", timestamps: Timestamps, stop: Stop) -> tuple[str, list[Chunk]]:
        """The text, and its chunks where any are asked for.

        `sound`: float32 [samples], one channel, at HEARING_RATE. Raises as `Model.run` does.
        """
        ...


class RunnerAudioToText(JobFields):
    """A request; defaults are the same on both sides."""

    model_id: ModelId = ""
    return_timestamps: Annotated[str, Field(max_length=64)] = "true"
    metadata: Annotated[str, Field(max_length=8192)] = "{}"


class AudioToText(Kind[RunnerAudioToText]):
    """Billed 1000 units a whole second."""

    pipeline = Pipeline.AUDIO_TO_TEXT
    title = "audio-to-text"
    fields = RunnerAudioToText
    runner_fields = RunnerAudioToText
    upload = Upload("audio")
    out_of_memory = "GPU out of memory."
    failed = "Audio-to-text pipeline error."

    def fault(self, fields: RunnerAudioToText, upload: bytes | None) -> str | None:
        """Another kind of timestamps, and metadata that is no JSON object or has a strange duration."""
        try:
            Timestamps.named(fields.return_timestamps)
            told_duration(fields.metadata)
        except ValueError as error:
            return str(error)
        return None

    def units(self, fields: RunnerAudioToText, upload: bytes | None) -> int:
        """Whole seconds times 1000. Raises Unbillable for less than one, ValueError past MAX_SECONDS."""
        seconds = int(seconds_of(upload or b""))
        if not seconds:
            raise Unbillable(NO_DURATION)
        if seconds > MAX_SECONDS:
            raise ValueError(f"{seconds} s of audio; at most {MAX_SECONDS} s are taken")
        return seconds * _UNITS_A_SECOND

    def proof(self, settings: RunnerSettings) -> tuple[RunnerAudioToText, bytes]:
        """A second of silence."""
        return RunnerAudioToText(return_timestamps="false"), silence(HEARING_RATE, HEARING_RATE)

    def load(self, settings: RunnerSettings) -> Model[RunnerAudioToText]:
        """Load it by the backend that fits its files."""
        match backend_of(settings):
            case Backend.FASTER_WHISPER:
                from livefleet.ai.pipelines.whisper_ctranslate import FasterWhisper

                return FasterWhisper(settings)
            case Backend.TRANSFORMERS:
                from livefleet.ai.pipelines.whisper_transformers import TransformersWhisper

                return TransformersWhisper(settings)


KIND = AudioToText()


class Backend(Enum):
    """What runs the model, by ai-runner's names."""

    TRANSFORMERS = "transformers"
    FASTER_WHISPER = "faster-whisper"


def backend_of(settings: RunnerSettings) -> Backend:
    """As the flag `BACKEND` says, else as the files are made for. Raises ValueError for another name."""
    if flag := settings.optimization.get("BACKEND"):
        return Backend(flag)
    folder = Path(settings.source)
    converted = (folder / "model.bin").is_file() if folder.is_dir() else "faster-" in settings.source.lower()
    return Backend.FASTER_WHISPER if converted else Backend.TRANSFORMERS


def told_duration(metadata: str) -> float | None:
    """Seconds that a gateway has measured; None: not told. Raises ValueError with ai-runner's words."""
    try:
        found = json.loads(metadata or "{}")
        duration = found.get("duration")
        return None if duration is None else float(duration)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(_UNKNOWN_DURATION) from error


def heard(recogniser: Recogniser, fields: RunnerAudioToText, upload: bytes, stop: Stop) -> AiResult:
    """Decode the file and have it recognised."""
    stop.check()
    try:
        sound = waveform_of(upload, _limit_of(upload), stop)
    except BadUpload as error:
        if told_duration(fields.metadata) is None:
            raise BadUpload(_UNKNOWN_DURATION, 400) from error
        raise
    text, chunks = recogniser.hear(sound, Timestamps.named(fields.return_timestamps), stop)
    return AiResult({"text": text, "chunks": [_on_the_wire(chunk) for chunk in chunks]})


def _limit_of(upload: bytes) -> float:
    """Where decoding gives up: headers may lie, and they are what is paid for."""
    try:
        return min(MAX_SECONDS, 2 * seconds_of(upload)) + _SLACK_S
    except ValueError:
        # A format whose headers we do not read.
        return MAX_SECONDS


def _on_the_wire(chunk: Chunk) -> Mapping[str, Any]:
    return {"timestamp": [round(chunk.start, 3), round(chunk.end, 3)], "text": chunk.text}
