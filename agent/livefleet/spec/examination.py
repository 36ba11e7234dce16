"""What an examination of a host finds: the host writes it, the operator's machine reads it."""

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict

from livefleet.spec.troubles import Trouble

__all__ = ["Examination", "Finding", "Grade"]


class Grade(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"  # works today
    FAIL = "fail"
    SKIP = "skip"  # cannot be looked at; the message says why


class Finding(BaseModel):
    """One thing that was looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    area: str
    """`host`, `driver`, `spec`, `keys`, `ports`, `dns`, `certificate`, `clock`, `disk`, `chain`, `service`, `node`."""

    what: str
    """Within the area: `/var/lib/livefleet`, `GPU-…`, `https://rpc.example.com`."""

    grade: Grade
    message: str
    """What was found, with numbers."""

    fix: str = ""
    """What to do about it; empty where nothing has to be done."""

    trouble: str = ""
    """The `Trouble` that it is; empty where nothing is wrong, and from releases that have no word for it."""

    @classmethod
    def bad(cls, trouble: Trouble, area: str, what: str, message: str, fix: str, grade: Grade = Grade.FAIL) -> Self:
        """Something that somebody should act on."""
        return cls(area=area, what=what, grade=grade, message=message, fix=fix, trouble=trouble)


class Examination(BaseModel):
    """All that a host says of itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    node: str
    at: float
    """The host's clock when it was asked, in unix seconds."""

    digest: str
    """Of the node.yaml that lies there."""

    findings: tuple[Finding, ...]
