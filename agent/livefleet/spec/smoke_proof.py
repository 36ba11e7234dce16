"""What paid jobs on a node came to, as it stands in the node's state folder.

The node cannot know: it holds no gateway's key. The operator's machine, which pays and checks, has it written there, so
who may write into the folder may say so.
"""

from pathlib import Path
from typing import Final

from pydantic import Field

from livefleet.spec.model import SpecModel
from livefleet.spec.state_file import load_state_file, save_state_file

__all__ = ["SMOKE_FILE", "SMOKE_TEXT_MOST", "SmokeProof", "SmokeProofs", "load_smoke_proofs", "save_smoke_proofs"]

SMOKE_FILE: Final = "smoke.json"
SMOKE_TEXT_MOST: Final = 500
"""Characters."""

_KEPT = 8


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


class SmokeProofs(SpecModel):
    """The last outcome of each release and driver: one that is gone back to was proven before."""

    proofs: tuple[SmokeProof, ...] = ()
    """The latest last."""

    @property
    def last(self) -> SmokeProof | None:
        """Whatever it was about."""
        return self.proofs[-1] if self.proofs else None

    def of(self, release: str, driver: str) -> SmokeProof | None:
        """The one of these two."""
        return next((proof for proof in self.proofs if proof.is_about(release, driver)), None)

    def adding(self, proof: SmokeProof) -> "SmokeProofs":
        """With this in place of the earlier one of the same; the latest few are kept."""
        others = [other for other in self.proofs if not other.is_about(proof.release, proof.driver)]
        return SmokeProofs(proofs=(*others, proof)[-_KEPT:])


def load_smoke_proofs(state: Path) -> SmokeProofs:
    """All that are known. Raises BadInput where the file is there and cannot be read."""
    return load_state_file(state / SMOKE_FILE, SmokeProofs) or SmokeProofs()


def save_smoke_proofs(state: Path, proofs: SmokeProofs) -> None:
    """Put them in place of the earlier ones, durably. Raises BadInput where this user may not."""
    save_state_file(state / SMOKE_FILE, proofs)
