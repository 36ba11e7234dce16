"""From what a probe saw to what is announced on the network. Pure.

Source: `core/capabilities.go` of go-livepeer; the ids are the network's.
"""

from livefleet.media.probe import Probe

__all__ = ["DEFAULT_IDS", "PERCEPTUAL_HASH", "SEGMENT_SLICING", "capability_ids"]

DEFAULT_IDS = frozenset(range(13))
"""H.264, TS, MP4, fractional rates, three kinds of storage, four profiles, GOP, auth token."""

PERCEPTUAL_HASH = 14
"""MPEG-7 signatures of renditions; announced where one was made when the device was tried."""

SEGMENT_SLICING = 26
"""Clip from and to."""


def capability_ids(probe: Probe) -> frozenset[int]:
    """What a device really can do; nothing when its H.264 encoder does not open."""
    if probe.problem:
        return frozenset()
    return DEFAULT_IDS | {SEGMENT_SLICING} | frozenset(probe.proven_ids)
