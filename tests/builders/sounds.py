"""Sound files for tests, made by FFmpeg."""

import io
from collections.abc import Mapping
from fractions import Fraction

import av
import numpy as np

# FFmpeg's containers and codecs, each with what is asked of the muxer.
SOUND_FORMATS: Mapping[str, tuple[str, str, dict[str, str]]] = {
    "wav": ("wav", "pcm_s16le", {}),
    "wav-float": ("wav", "pcm_f32le", {}),
    "wav-adpcm": ("wav", "adpcm_ima_wav", {}),
    "mp3": ("mp3", "libmp3lame", {}),
    "mp3-without-tag": ("mp3", "libmp3lame", {"write_xing": "0"}),
    "flac": ("flac", "flac", {}),
    "ogg-opus": ("ogg", "libopus", {}),
    "ogg-flac": ("ogg", "flac", {}),
    "webm": ("webm", "libopus", {}),
    "matroska": ("matroska", "aac", {}),
    "mp4": ("mp4", "aac", {}),
    "m4a": ("ipod", "aac", {}),
    "mp4-in-fragments": (
        "mp4",
        "aac",
        {"movflags": "frag_keyframe+empty_moov", "frag_duration": "1000000"},
    ),
}


def a_sound(form: str = "wav", *, seconds: float = 2.0, rate: int = 16_000, channels: int = 1) -> bytes:
    """A tone in one of SOUND_FORMATS."""
    container, codec, options = SOUND_FORMATS[form]
    rate = 48_000 if codec == "libopus" else rate
    layout = "mono" if channels == 1 else "stereo"
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        times = np.arange(int(rate * seconds)) / rate
        tone = np.tile((0.3 * np.sin(2 * np.pi * 440 * times)).astype(np.float32), (channels, 1))
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout=layout)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        pieces = av.audio.fifo.AudioFifo()
        for piece in av.AudioResampler(format=stream.format, layout=layout, rate=rate).resample(frame):
            pieces.write(piece)
        size = stream.frame_size or 1024
        while (piece := pieces.read(size) or pieces.read(size, partial=True)) is not None:
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return file.getvalue()


def seconds_by_ffmpeg(data: bytes) -> float:
    """What FFmpeg takes for the duration."""
    with av.open(io.BytesIO(data)) as container:
        assert container.duration is not None
        return container.duration / 1_000_000
