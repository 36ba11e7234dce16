"""The smallest request to each AI pipeline that shows a model to work."""

import io
import struct
import wave
import zlib
from collections.abc import Mapping
from typing import Any, Final

from livefleet.wire.gateway import AiRequest

__all__ = ["small_request"]

_SIDE = 256  # models of real size make nothing sensible of less
_UPLOADED_SIDE = 64
_RATE = 16_000
_GREY = b"\x80\x80\x80"


def small_request(pipeline: str, model_id: str) -> AiRequest:
    """What is asked of a model. Raises KeyError for a pipeline that there is no request for."""
    request = AiRequest(pipeline, model_id, _FIELDS[pipeline])
    files = {"": lambda: b"", "image": _picture, "audio": _silence}
    return AiRequest(pipeline, model_id, request.fields, files[request.form.upload]())


_SIZE: Final = {"width": _SIDE, "height": _SIDE}
_STEPS: Final = {"prompt": "a lighthouse", "num_inference_steps": 2}
_FIELDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "text-to-image": _STEPS | _SIZE,
    "image-to-image": _STEPS | {"strength": 1.0},
    "image-to-video": {"num_inference_steps": 2} | _SIZE,
    "upscale": _STEPS,
    "audio-to-text": {"return_timestamps": "false"},
    "segment-anything-2": {"point_coords": [[32, 32]], "point_labels": [1]},
    "llm": {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 4, "temperature": 0},
    "image-to-text": {},
    "text-to-speech": {"text": "hello"},
}
"""By the wire's names."""


def _picture() -> bytes:
    """A grey PNG square."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    side = _UPLOADED_SIDE
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + _GREY * side) * side)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _silence() -> bytes:
    """A second of WAV."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(_RATE)
        sound.writeframes(bytes(2 * _RATE))
    return file.getvalue()
