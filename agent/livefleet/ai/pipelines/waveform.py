"""Sound as numbers: uploads decoded for the models that hear, and WAV files of what models say."""

import io
import wave
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from livefleet.ai.errors import BadUpload
from livefleet.ai.stop import Stop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["HEARING_RATE", "UNSUPPORTED", "silence", "wav_of", "waveform_of"]

HEARING_RATE = 16_000
"""Samples a second that Whisper hears."""

UNSUPPORTED = "Unsupported audio format or malformed file."
"""ai-runner's words, with status 415."""

_GROUP = 500_000  # samples of the file's own rate

_FORMATS = "wav,mp3,flac,ogg,matroska,webm,mov,mp4,m4a,aac,ac3,aiff,asf,avi,mpegts,flv,amr,caf,w64"
"""FFmpeg's demuxers of plain files. Others are playlists, which may name files and hosts."""

_NOWHERE = {"format_whitelist": _FORMATS, "protocol_whitelist": ""}


def waveform_of(data: bytes, limit_s: float, stop: Stop) -> "NDArray[np.float32]":
    """The first sound track of a file: one channel, float32 [samples] in -1..1, at HEARING_RATE.

    Raises BadUpload (415) for what cannot be decoded or is longer than `limit_s`, and what `stop` raises.
    """
    import av
    import numpy as np

    pieces: list[NDArray[np.int16]] = []
    left = int(limit_s * HEARING_RATE)
    resampler = av.AudioResampler(format="s16", layout="mono", rate=HEARING_RATE)
    try:
        with av.open(io.BytesIO(data), metadata_errors="ignore", options=_NOWHERE) as container:
            for frame in chain(_grouped(_frames(container, stop)), (None,)):
                for resampled in resampler.resample(frame):
                    piece = resampled.to_ndarray()[0]
                    pieces.append(piece)
                    left -= piece.size
                if left < 0:
                    raise BadUpload(UNSUPPORTED, 415)
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise BadUpload(UNSUPPORTED, 415) from error
    if not any(piece.size for piece in pieces):
        raise BadUpload(UNSUPPORTED, 415)
    return np.concatenate(pieces).astype(np.float32) / np.float32(32768)


def _grouped(frames: Iterator[Any]) -> Iterator[Any]:
    """Many frames as one: what is done for each costs more than the samples in it."""
    import av

    fifo = av.audio.fifo.AudioFifo()
    for frame in frames:
        fifo.write(frame)
        if fifo.samples >= _GROUP:
            yield fifo.read()
    if fifo.samples:
        yield fifo.read()


def _frames(container: Any, stop: Stop) -> Iterator[Any]:
    """Frames of the first sound track; broken packets between good ones are left out."""
    import av

    if not container.streams.audio:
        raise BadUpload(UNSUPPORTED, 415)
    for packet in container.demux(container.streams.audio[0]):
        stop.check()
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        for frame in frames:
            # Gaps are closed and overlaps not cut: players' times are not asked for.
            frame.pts = None
            yield frame


def wav_of(samples: "NDArray[np.float32]", rate: int) -> bytes:
    """A WAV file, 16 bits a sample, of float32 [samples] in -1..1 (what is beyond is cut)."""
    import numpy as np

    whole = np.clip(np.nan_to_num(samples), -1, 1)
    return _wav_of((whole * 32767).astype("<i2").tobytes(), rate)


def silence(samples: int, rate: int) -> bytes:
    """A WAV file of nothing, for proofs. Without numpy, because the agent asks for proofs too."""
    return _wav_of(bytes(2 * samples), rate)


def _wav_of(samples: bytes, rate: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(samples)
    return file.getvalue()
