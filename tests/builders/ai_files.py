"""Small pictures, sounds and films, by their headers as good as any."""

import io
import struct
import wave
import zlib

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def png_chunk(name: bytes, data: bytes) -> bytes:
    """Length, name, content, check."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int = 40, height: int = 30) -> bytes:
    """What a decoder reads of one, and nothing of its pixels."""
    return PNG_MAGIC + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def a_picture(width: int = 64, height: int = 64) -> bytes:
    """A whole PNG of some colours."""
    rows = (bytes([0, *(n for x in range(width) for n in (4 * x % 256, 4 * y % 256, 90))]) for y in range(height))
    return png(width, height) + png_chunk(b"IDAT", zlib.compress(b"".join(rows))) + png_chunk(b"IEND", b"")


def gif(width: int = 40, height: int = 30) -> bytes:
    """Likewise."""
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0"


def jpeg_segment(marker: int, content: bytes) -> bytes:
    """A marker, its length, its content."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def jpeg(width: int = 40, height: int = 30, *, frame: int = 0xC0, before: bytes = b"") -> bytes:
    """Likewise; `before` stands between the file's start and the frame header."""
    header = b"\x08" + struct.pack(">HH", height, width) + b"\x01\x01\x11\0"
    return b"\xff\xd8" + before + jpeg_segment(frame, header)


def wav(seconds: float = 2.5, *, rate: int = 8000) -> bytes:
    """Silence."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(bytes(2 * int(seconds * rate)))
    return file.getvalue()


def mp4(width: int = 64, height: int = 32, frames: int = 25) -> bytes:
    """A grey film."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=7)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame(width, height, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([100 + number]) * plane.buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()
