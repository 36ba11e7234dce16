"""Picture files, good and bad, made without Pillow."""

import struct
import zlib

__all__ = ["a_png", "png_of"]


def a_png(width: int = 64, height: int = 64, *, shade: int = 120) -> bytes:
    """A picture of one grey."""
    return png_of(width, height, zlib.compress((b"\0" + bytes([shade] * 3) * width) * height))


def png_of(width: int, height: int, pixels: bytes, *, further: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """A file that says it is so large. `pixels`: what is in its data chunk; `further`: chunks before that."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), *further, (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
