"""Pictures as models take and give them: decoded by Pillow within bounds, written as PNG. Only in runner processes."""

import io
import struct
import warnings
import zlib
from typing import TYPE_CHECKING

from livefleet.ai.errors import InferenceFailed
from livefleet.ai.pictures import MAX_PIXELS, bounded_size_of

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["a_picture", "as_png", "decode"]

_FORMATS = ("PNG", "JPEG", "GIF")  # what `size_of` knows: Pillow's other decoders are no stranger's to try


def decode(data: bytes, *, max_side: int) -> "Image":
    """The picture as RGB. Raises InferenceFailed for one that is broken, cut short, too large or contradicts itself."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    try:
        said = bounded_size_of(data, max_side=max_side)
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                # A file may show one size to a header's reader and another to a decoder.
                if picture.size != said:
                    raise InferenceFailed(f"image: its header says {said}, its data {picture.size}")  # noqa: TRY301
                return picture.convert("RGB")
    except InferenceFailed:
        raise
    except Exception as error:
        # Decoders meet hostile bytes with whatever comes up; none of it is the model's trouble.
        raise InferenceFailed(f"image: {error}") from error


def as_png(picture: "Image") -> bytes:
    """The file."""
    png = io.BytesIO()
    picture.save(png, format="PNG")
    return png.getvalue()


def a_picture(width: int, height: int) -> bytes:
    """A grey PNG, for proofs. Without Pillow, because the agent asks for proofs too.

    Source: PNG 11.2; 8 bits, greyscale, each row after the byte of its filter.
    """
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress((b"\0" + b"\x7f" * width) * height)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
