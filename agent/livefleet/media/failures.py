"""FFmpeg's errors in the protocol's words: gateways do not punish for texts that blame the input."""

from errno import EACCES, EMFILE, ENFILE, ENOENT, ENOSPC, EPERM

import av

from livefleet.media.models import TranscodeError

__all__ = ["of_output", "of_source"]

# Trouble of this machine, whatever the segment. Neither EIO nor ENOMEM: so FFmpeg calls a file that is cut off, and one
# that claims more of something than there can be; a machine that is really short of memory ends the process.
_OURS = frozenset((EACCES, EMFILE, ENFILE, ENOENT, ENOSPC, EPERM))

_INVALID = "TranscoderInvalidVideo"


def of_source(error: av.FFmpegError) -> TranscodeError:
    """What opening, demuxing or decoding raised: the segment's fault, unless the machine is in trouble."""
    if error.errno in _OURS:
        return of_output(error)
    text = "Decoder not found" if isinstance(error, av.DecoderNotFoundError) else _INVALID
    return TranscodeError(text, detail=str(error))


def of_output(error: av.FFmpegError) -> TranscodeError:
    """What encoding or writing raised, in FFmpeg's own words; data that cannot be muxed came with the segment."""
    text = _INVALID if isinstance(error, av.InvalidDataError) else error.strerror or "TranscoderStopped"
    return TranscodeError(text, detail=str(error))
