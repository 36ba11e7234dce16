"""Misplaced SEI in H.264: notes that follow a picture's slices instead of preceding them.

FFmpeg takes such a note for the beginning of the next picture. Timestamps then stand with the wrong pictures, and a
picture of several slices falls into two. The bytes of each picture are put into order within the TS packets that carry
them, so that nothing else changes.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["in_order"]

_PACKET, _SYNC = 188, 0x47
_PAT_PID, _PAT_TABLE, _PMT_TABLE = 0, 0, 2
_H264_STREAM = 0x1B
_BLOCK = 16_384  # packets looked at together: 3 MB
_SLICES, _SEI, _DELIMITER = range(1, 6), 6, 9
_START = b"\0\0\1"
_NAL = re.compile(_START + b"(.)", re.DOTALL)
_LEAST_MEAN_SIZE = 24  # bytes; a stream of smaller ones is no camera's, and would only cost time

_Packets = NDArray[np.uint8]


def in_order(ts: bytes | Path) -> bytes | None:
    """The same TS with every SEI before its picture's slices; None when there is nothing to be done, as usual."""
    try:
        data = np.frombuffer(ts, np.uint8) if isinstance(ts, bytes) else np.memmap(ts, np.uint8, "r")
    except (OSError, ValueError):  # not there, or empty: whoever opens it next says so
        return None
    packets = data[: len(data) // _PACKET * _PACKET].reshape(-1, _PACKET)
    if not len(packets) or packets[0, 0] != _SYNC:
        return None
    pids = (packets[:, 1] & 0x1F).astype(np.int64) * 256 + packets[:, 2]
    video = _video_pid(packets, pids)
    if video is None:
        return None
    mine = np.flatnonzero(pids == video)
    changed: _Packets | None = None
    for rows in _blocks(packets, mine):
        block = packets[rows]
        carries, starts = _payload(block)
        stream = block[carries].tobytes()
        sorted_stream = _sorted(stream, starts)
        if sorted_stream is not None:
            if changed is None:
                changed = packets.copy()
            block[carries] = np.frombuffer(sorted_stream, np.uint8)
            changed[rows] = block
    return None if changed is None else changed.tobytes() + data[packets.size :].tobytes()


def _video_pid(packets: _Packets, pids: NDArray[np.int64]) -> int | None:
    """The packet id of the first H.264 stream."""
    program = _section(packets, pids, _PAT_PID, _PAT_TABLE)
    entries = (program[at : at + 4] for at in range(8, len(program) - 7, 4))
    tables = [int.from_bytes(entry[2:], "big") & 0x1FFF for entry in entries if any(entry[:2])]
    if not tables:
        return None
    streams = _section(packets, pids, tables[0], _PMT_TABLE)
    at = 12 + (int.from_bytes(streams[10:12], "big") & 0x0FFF)
    while at + 5 <= len(streams) - 4:
        if streams[at] == _H264_STREAM:
            return int.from_bytes(streams[at + 1 : at + 3], "big") & 0x1FFF
        at += 5 + (int.from_bytes(streams[at + 3 : at + 5], "big") & 0x0FFF)
    return None


def _section(packets: _Packets, pids: NDArray[np.int64], pid: int, table: int) -> bytes:
    """The first table with that packet id, checksum included, as far as one packet carries it; empty without any."""
    for row in np.flatnonzero((pids == pid) & (packets[:, 1] & 0x40 > 0))[:4]:
        payload = packets[row, int(_offsets(packets[[row]])[0]) :].tobytes()
        section = payload[1 + payload[0] :] if payload else b""
        if len(section) > 3 and section[0] == table:
            return section[: 3 + (int.from_bytes(section[1:3], "big") & 0x0FFF)]
    return b""


def _offsets(packets: _Packets) -> NDArray[np.int64]:
    """Where each packet's payload begins; at its end for those without any."""
    control = packets[:, 3]
    lengths = np.where(control & 0x20 > 0, 5 + packets[:, 4].astype(np.int64), 4)
    return np.where(control & 0x10 > 0, np.minimum(lengths, _PACKET), _PACKET)


def _blocks(packets: _Packets, mine: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """The video's packets in runs of bounded length, each of whole pictures."""
    begins = np.flatnonzero(packets[mine, 1] & 0x40)
    cuts = [0]
    for at in begins:
        if at - cuts[-1] >= _BLOCK:
            cuts.append(int(at))
    yield from np.split(mine, cuts[1:])


def _payload(packets: _Packets) -> tuple[NDArray[np.bool_], list[int]]:
    """Which bytes are the elementary stream's, [packets, 188], and where in that stream PES packets begin."""
    offsets = _offsets(packets)
    opening = np.flatnonzero(packets[:, 1] & 0x40)
    for row in opening:
        at = int(offsets[row])
        offsets[row] = at + 9 + int(packets[row, at + 8]) if at + 9 <= _PACKET else _PACKET
    sizes = _PACKET - np.minimum(offsets, _PACKET)
    ends = np.cumsum(sizes)
    return np.arange(_PACKET) >= offsets[:, None], [int(ends[row] - sizes[row]) for row in opening]


def _sorted(stream: bytes, starts: list[int]) -> bytes | None:
    """The elementary stream with SEI in its place; None when it is."""
    if stream.count(_START) * _LEAST_MEAN_SIZE > len(stream):
        return None
    nals = [(_begin(stream, found.start()), found[1][0] & 0x1F) for found in _NAL.finditer(stream)]
    if not _is_suspect([kind for _, kind in nals]):
        return None
    begins = [at for at, kind in nals if kind == _DELIMITER] or starts
    ends = [at for at, _ in nals[1:]] + [len(stream)]
    pieces = [stream[: nals[0][0]]]
    picture: list[tuple[int, bytes]] = []
    changed = False
    next_begin = 0
    for (at, kind), end in zip(nals, ends, strict=True):
        if next_begin < len(begins) and at >= begins[next_begin]:
            changed |= _put(pieces, picture)
            while next_begin < len(begins) and at >= begins[next_begin]:
                next_begin += 1
        picture.append((kind, stream[at:end]))
    changed |= _put(pieces, picture)
    return b"".join(pieces) if changed else None


def _begin(stream: bytes, at: int) -> int:
    """Where a start code begins: it may have another zero in front."""
    return at - 1 if at and not stream[at - 1] else at


def _is_suspect(kinds: list[int]) -> bool:
    """Whether an SEI follows a slice at once; where pictures have no delimiter that may be the next picture's."""
    return any(kind == _SEI and before in _SLICES for before, kind in pairwise(kinds))


def _put(pieces: list[bytes], picture: list[tuple[int, bytes]]) -> bool:
    """Add a picture in its right order; whether that differs. Leaves `picture` empty."""
    first = next((n for n, (kind, _) in enumerate(picture) if kind in _SLICES), len(picture))
    late = [nal for kind, nal in picture[first:] if kind == _SEI]
    pieces += [nal for _, nal in picture[:first]] + late + [nal for kind, nal in picture[first:] if kind != _SEI]
    picture.clear()
    return bool(late)
