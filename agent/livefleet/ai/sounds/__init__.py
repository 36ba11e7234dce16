"""How long a sound is, from its headers alone.

Written in Python and bounded, so that no file can crash or hold up the process that reads it. Durations are FFmpeg's,
which Go peers measure by; each format has its file.
"""

import struct
from collections.abc import Callable

from livefleet.ai.errors import Unbillable
from livefleet.ai.sounds import flac, mp4, mpeg_audio, ogg, wave_file, webm

__all__ = ["NO_DURATION", "seconds_of"]

NO_DURATION = "Unable to calculate duration"
"""The reference's words."""

_BY_MAGIC: tuple[tuple[int, bytes, Callable[[bytes], float]], ...] = (
    (0, b"RIFF", wave_file.seconds_of),
    (0, b"RF64", wave_file.seconds_of),
    (0, b"fLaC", flac.seconds_of),
    (0, b"OggS", ogg.seconds_of),
    (0, b"\x1a\x45\xdf\xa3", webm.seconds_of),
    (4, b"ftyp", mp4.seconds_of),
    (4, b"moov", mp4.seconds_of),
)


def seconds_of(data: bytes) -> float:
    """The duration in seconds, above zero. Knows WAV, MP3, FLAC, Ogg, WebM/Matroska and MP4.

    Raises Unbillable(NO_DURATION), a ValueError, for anything else, and where the headers do not tell.
    """
    sound = data[_end_of_id3(data) :] if data.startswith(b"ID3") else data
    read = next((read for at, magic, read in _BY_MAGIC if sound[at : at + len(magic)] == magic), mpeg_audio.seconds_of)
    try:
        seconds = read(sound)
    except (ValueError, IndexError, ArithmeticError, struct.error) as error:
        raise Unbillable(NO_DURATION) from error
    if not 0 < seconds < float("inf"):
        raise Unbillable(NO_DURATION)
    return seconds


def _end_of_id3(data: bytes) -> int:
    """Where the sound starts behind an ID3v2 tag (ID3v2.4 section 3.1)."""
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    footer = 10 if len(data) > 5 and data[5] & 0x10 else 0
    return 10 + size + footer
