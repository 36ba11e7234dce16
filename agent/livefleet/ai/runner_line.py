"""What a runner tells its agent on standard output, a line each: signs of life, how far loading is, why it gives up."""

from enum import StrEnum
from typing import Final

__all__ = ["BEAT", "BEAT_EVERY_S", "LoadStep", "RunnerLines", "step_line"]

BEAT: Final = b".\n"
"""Said by the loop that takes requests: it comes neither from a stopped process nor while Python's lock is held."""

BEAT_EVERY_S: Final = 0.2

_STEP: Final = "at "
_LONGEST: Final = 4096  # bytes of a line


class LoadStep(StrEnum):
    """What loading a model is busy with, in the order of things."""

    WEIGHTS = "weights"  # the files: found, or fetched and checked
    MEMORY = "memory"  # waiting for room on the device
    PROCESS = "process"  # the runner starts
    PIPELINE = "pipeline"  # libraries are imported and the weights read
    PROOF = "proof"  # the first small job


def step_line(step: LoadStep) -> bytes:
    """For standard output."""
    return f"{_STEP}{step.value}\n".encode()


class RunnerLines:
    """Takes standard output as it comes, and knows what it said."""

    def __init__(self) -> None:
        self.beats = 0
        self.step = LoadStep.PROCESS
        self.words = ""
        """Why it gave up; empty while it has not."""

        self._rest = b""

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-_LONGEST:]
        for line in lines:
            self._take(line)

    def end(self) -> None:
        """No more comes: a last line without an end counts too."""
        self.feed(b"\n" if self._rest else b"")

    def _take(self, line: bytes) -> None:
        if line == BEAT.rstrip():
            self.beats += 1
            return
        text = line.decode(errors="replace").strip()
        if text.startswith(_STEP):
            self.step = LoadStep(text.removeprefix(_STEP))
        elif text:
            self.words = text
