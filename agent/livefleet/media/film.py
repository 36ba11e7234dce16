"""Pictures joined to a film, in a child process: they may come from a runner that is not ours."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence

from livefleet.kernel import OutsideWorld

__all__ = ["film_of"]

_TIMEOUT_S = 60.0
_MAX_FILM = 256_000_000  # bytes
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR")


async def film_of(frames: Sequence[bytes], *, fps: int, size: tuple[int, int], timeout_s: float = _TIMEOUT_S) -> bytes:
    """An MP4 of H.264 at 6000 kbit/s. `frames`: PNG, shown in this order; `size`: (width, height), both even.

    Raises OutsideWorld for pictures that cannot be read, and when the process dies or takes too long.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "livefleet.media.filming", "--agent", str(os.getpid()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name in _PASSED_ON},
    )  # fmt: skip
    head = json.dumps({"fps": fps, "width": size[0], "height": size[1], "lengths": [len(frame) for frame in frames]})
    try:
        async with asyncio.timeout(timeout_s):
            film, words = await process.communicate(b"".join((head.encode(), b"\n", *frames)))
    except TimeoutError:
        raise OutsideWorld(f"joining {len(frames)} frames to a film took more than {timeout_s:g} s") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.returncode or not 0 < len(film) <= _MAX_FILM:
        why = " ".join(words.decode(errors="replace").split())[-300:]
        raise OutsideWorld(f"the frames make no film: {why or _ending(process.returncode)}")
    return film


def _ending(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    return f"died of {signal.Signals(-code).name}"
