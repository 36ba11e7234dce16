"""Keys are in this process's memory: nobody else looks into it."""

import ctypes
import os
import resource
from typing import Final

__all__ = ["keep_memory_private"]

_PR_SET_DUMPABLE: Final = 4


def keep_memory_private() -> None:
    """No dump is written, and no other process of the same user may trace this one or read its memory and environment.

    Children that are exec'ed begin anew without it. Source: prctl(2) PR_SET_DUMPABLE, core(5). Raises OSError.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
