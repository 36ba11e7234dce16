"""Texts that say a segment's own fault. Gateways give such a segment up and think no worse of whoever said it."""

from typing import Final

__all__ = ["INPUT_ERRORS", "is_input_error"]

INPUT_ERRORS: Final = frozenset({
    "Unsupported input pixel format", "Error initializing filtergraph", "Too many outputs", "Unsupported input codec",
    "No keyframes in input", "Unrecoverable state, restart process", "Encoded frames runaway", "Decoder not found",
    "Demuxer not found", "Encoder not found", "Muxer not found", "Option not found", "Invalid argument",
    "TranscoderInvalidResolution", "TranscoderInvalidVideo", "TranscoderUnrecognizedFormat",
    "TranscoderUnrecognizedProfile", "TranscoderInvalidGOP", "TranscoderIncompatibleDevices",
})  # fmt: skip
"""Compared as a whole. Source: the non-retryable errors of lpms, as go-livepeer's gateway reads them."""

_OF_THE_INPUT = INPUT_ERRORS | {
    "Invalid data found when processing input",  # FFmpeg's answer to damaged input, from workers of the reference
    "TranscoderInvalidDuration",
    "TranscoderInvalidClipConfig",
}


def is_input_error(text: str) -> bool:
    """Whether another worker would say the same."""
    return text in _OF_THE_INPUT
