"""Ogg (RFC 3533) with Opus, Vorbis, FLAC or Speex: the last page's position tells the end."""

import struct

__all__ = ["seconds_of"]

_PAGE = b"OggS"
_LARGEST_PAGE = 65_307
_HEADER = struct.Struct("<4sBBqIIIB")  # magic, version, flags, position, stream, page, checksum, segments
_OPUS_RATE = 48_000


def seconds_of(data: bytes) -> float:
    """Position of the first stream's last page, over its rate. Raises ValueError or struct.error."""
    stream, packet = _page(data, 0)[1:]
    rate = _rate_of(packet)
    end = len(data)
    for _ in range(1000):
        at = data.rfind(_PAGE, max(0, len(data) - 8 * _LARGEST_PAGE), end)
        if at < 0:
            break
        position, found, _packet = _page(data, at)
        if found == stream and position > 0:
            return position / rate
        end = at
    raise ValueError("no last page")


def _page(data: bytes, at: int) -> tuple[int, int, bytes]:
    """Position, stream and the start of the content."""
    _magic, _version, _flags, position, stream, _number, _checksum, segments = _HEADER.unpack_from(data, at)
    start = at + _HEADER.size + segments
    return position, stream, data[start : start + 64]


def _rate_of(packet: bytes) -> int:
    """Positions a second."""
    if packet.startswith(b"OpusHead"):
        return _OPUS_RATE
    if packet.startswith(b"\x01vorbis"):
        return int(struct.unpack_from("<I", packet, 12)[0])
    if packet.startswith(b"\x7fFLAC"):
        return int.from_bytes(packet[27:30], "big") >> 4
    if packet.startswith(b"Speex   "):
        return int(struct.unpack_from("<I", packet, 36)[0])
    raise ValueError("an Ogg codec that is not known")
