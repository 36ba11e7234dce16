"""What the C library keeps of the memory that a worker process has let go of."""

import ctypes

__all__ = ["Heap"]

# glibc, malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

_KEPT = 512 << 20
_LARGEST = 32 << 20  # the most that glibc takes for this setting


class Heap:
    """Frames and encoders stay with the process from one segment to the next.

    Each segment takes some 40,000 pages. Measured: returning them after every one and having them zeroed again costs
    6 % of all CPU time. One arena, because frames are freed by other threads than those that make them: with several,
    each holds the most that it ever had. Other C libraries keep their own rules.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None)
        if hasattr(self._libc, "mallopt"):
            self._libc.mallopt(_M_ARENA_MAX, 1)
            self._libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST)
            self._libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)

    def give_back(self) -> None:
        """Return what is free to the kernel: nothing is going on."""
        if hasattr(self._libc, "malloc_trim"):
            self._libc.malloc_trim(0)
