"""What the last paid job on a node came to, as it stands in the node's state folder.

The node cannot know: it holds no gateway's key. The operator's machine, which pays and checks, has it written there, so
who may write into the folder may say so.
"""

from pathlib import Path
from typing import Final

from pydantic import Field

from livefleet.spec.model import SpecModel
from livefleet.spec.state_file import load_state_file, save_state_file

__all__ = ["SMOKE_FILE", "SMOKE_TEXT_MOST", "SmokeProof", "load_smoke_proof", "save_smoke_proof"]

SMOKE_FILE: Final = "smoke.json"
SMOKE_TEXT_MOST: Final = 500
"""Characters."""


class SmokeProof(SpecModel):
    """One outcome, and what it holds for."""

    passed: bool

    release: str
    """What ran: the release's name."""

    driver: str = ""
    """NVIDIA's driver that ran, like `580.65.06`. Empty: none."""

    at: float
    """Unix seconds."""

    text: str = Field(default="", max_length=SMOKE_TEXT_MOST)
    """What was shown, or what went wrong."""

    def is_about(self, release: str, driver: str) -> bool:
        """Whether it was these two that did the job."""
        return (self.release, self.driver) == (release, driver)


def load_smoke_proof(state: Path) -> SmokeProof | None:
    """The last one; None where there was none. Raises BadInput where it is there and cannot be read."""
    return load_state_file(state / SMOKE_FILE, SmokeProof)


def save_smoke_proof(state: Path, proof: SmokeProof) -> None:
    """Put it in place of the earlier one, durably. Raises BadInput where this user may not."""
    save_state_file(state / SMOKE_FILE, proof)
