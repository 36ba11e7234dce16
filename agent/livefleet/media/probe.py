"""What a device really can do, in plain data. Found out by `probing`, inside the device's worker process."""

from dataclasses import dataclass

__all__ = ["Probe"]


@dataclass(frozen=True, slots=True)
class Probe:
    """The outcome of trying encoders and decoders on one device."""

    device_id: str
    encoders: tuple[str, ...]  # FFmpeg's names of those that opened
    proven_ids: tuple[int, ...]  # optional capability ids whose sample came through a real transcode
    problem: str = ""  # why the device is of no use; empty when it is fine
    encoder_sessions: int = 0  # encoders that could be open at once, where the driver sets a limit; 0: none was met
