"""Which code loads a voice, told by files alone."""

import json
import sys
from pathlib import Path

import pytest

from livefleet.ai.pipelines.audio_to_text import Backend, backend_of
from livefleet.ai.pipelines.text_to_speech import Architecture, architecture_of
from livefleet.ai.pipelines.voice_parler import ParlerVoice
from livefleet.ai.pipelines.voice_piper import PiperModel
from livefleet.ai.pipelines.whisper_ctranslate import FasterWhisper
from livefleet.spec import Pipeline
from tests.builders.ai import runner_settings
from tests.builders.real_weights import piper_voice

pytestmark = pytest.mark.unit


def test_voice__onnx_with_its_configuration__is_pipers(tmp_path: Path):
    (tmp_path / "en_US-joe-medium.onnx").touch()
    (tmp_path / "en_US-joe-medium.onnx.json").touch()
    assert architecture_of(str(tmp_path)) is Architecture.PIPER


@pytest.mark.parametrize("architecture", ["vits", "speecht5", "parler_tts"])
def test_voice__of_a_type_in_its_configuration__is_that(tmp_path: Path, architecture: str):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": architecture}))
    assert architecture_of(str(tmp_path)) is Architecture(architecture)


def test_voice__of_another_type__is_refused_with_what_is_served(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="type `bert`; for speech there are piper, vits, speecht5, parler_tts"):
        architecture_of(str(tmp_path))


def backend(source: object, **flags: str) -> Backend:
    return backend_of(runner_settings(pipeline=Pipeline.AUDIO_TO_TEXT, source=str(source), optimization=flags))


def test_backend__converted_weights__are_faster_whispers(tmp_path: Path):
    assert backend(tmp_path) is Backend.TRANSFORMERS
    (tmp_path / "model.bin").touch()
    assert backend(tmp_path) is Backend.FASTER_WHISPER


def test_backend__hub_id__is_told_by_its_name():
    assert backend("openai/whisper-large-v3") is Backend.TRANSFORMERS
    assert backend("Systran/faster-whisper-large-v3") is Backend.FASTER_WHISPER


def test_backend__flag__is_heeded_and_another_name_refused(tmp_path: Path):
    assert backend(tmp_path, BACKEND="faster-whisper") is Backend.FASTER_WHISPER
    assert backend("Systran/faster-whisper-base", BACKEND="transformers") is Backend.TRANSFORMERS
    with pytest.raises(ValueError, match=r"whisper.cpp"):
        backend(tmp_path, BACKEND="whisper.cpp")


def test_parler__package_missing__says_what_to_do():
    settings = runner_settings(pipeline=Pipeline.TEXT_TO_SPEECH, model_id="parler-tts/parler-tts-large-v1")
    with pytest.raises(ModuleNotFoundError, match="name its ai-runner by `url`"):
        ParlerVoice(settings)


def test_piper__package_missing__says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "piper", None)
    with pytest.raises(ModuleNotFoundError, match="install piper-tts"):
        PiperModel(runner_settings(pipeline=Pipeline.TEXT_TO_SPEECH))


def test_faster_whisper__weights_not_converted__says_what_to_do(tmp_path: Path):
    with pytest.raises(
        FileNotFoundError, match=r"has no model\.bin: name a folder that ct2-transformers-converter made"
    ):
        FasterWhisper(runner_settings(pipeline=Pipeline.AUDIO_TO_TEXT, source=str(tmp_path)))


def test_piper__gpu_that_onnxruntime_is_not_built_for__is_refused_rather_than_slow():
    with pytest.raises(ValueError, match="declare the voice with `device: cpu`"):
        PiperModel(runner_settings(pipeline=Pipeline.TEXT_TO_SPEECH, device="GPU-1", source=str(piper_voice())))
