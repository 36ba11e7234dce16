"""FLAC: STREAMINFO, which is always the first block (RFC 9639 section 8.2)."""

__all__ = ["seconds_of"]


def seconds_of(data: bytes) -> float:
    """Samples over sample rate. Raises ArithmeticError when the encoder did not know the number of samples."""
    if data[4] & 0x7F or len(data) < 26:
        raise ValueError("FLAC without STREAMINFO")
    packed = int.from_bytes(data[18:26], "big")
    rate, samples = packed >> 44, packed & (1 << 36) - 1
    return samples / rate
