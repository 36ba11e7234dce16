"""A sentence, said, and what is heard of it."""

import io
import re
import wave

from tests.builders.real_weights import piper_voice

__all__ = ["SENTENCE", "said", "said_twice", "words"]

SENTENCE = "Good morning. Today we are going to talk about the weather in London."
"""Heard aright however the voice draws its noise; in others a word now and then comes out as another."""


def words(text: str) -> list[str]:
    """Without capitals, blanks and what stands between words."""
    return re.findall(r"[a-z]+", text.lower())


def said() -> bytes:
    """SENTENCE as Piper says it, about 3.4 s: a WAV file."""
    from piper import PiperVoice

    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        PiperVoice.load(next(piper_voice().glob("*.onnx"))).synthesize_wav(SENTENCE, sound)
    return file.getvalue()


def said_twice(speech: bytes, pause_s: float) -> bytes:
    """A WAV file with silence and once more the same behind it."""
    with wave.open(io.BytesIO(speech)) as sound:
        form, frames = sound.getparams(), sound.readframes(sound.getnframes())
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams(form)
        sound.writeframes(frames + bytes(int(pause_s * form.framerate) * form.sampwidth) + frames)
    return file.getvalue()
