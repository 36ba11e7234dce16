"""When and with what a node measures itself."""

import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from livefleet.spec.model import SpecModel

__all__ = ["STANDARD_LADDER", "STANDARD_PROFILES", "DeclaredBenchmark", "SelfBenchmark"]

STANDARD_PROFILES: Final = (
    "P720p60fps16x9", "P720p30fps16x9", "P720p25fps16x9", "P720p30fps4x3",
    "P576p30fps16x9", "P576p25fps16x9",
    "P360p30fps16x9", "P360p25fps16x9", "P360p30fps4x3",
    "P240p30fps16x9", "P240p25fps16x9", "P240p30fps4x3",
    "P144p30fps16x9", "P144p25fps16x9",
)  # fmt: skip
"""The names that gateways know renditions by."""

STANDARD_LADDER: Final = ("P240p30fps16x9", "P360p30fps16x9", "P720p30fps16x9")

_SPELLED: Final = re.compile(r"\d{2,5}x\d{2,5}(@\d{1,3})?:\d{1,6}k\Z")


def _rendition(text: str) -> str:
    if text in STANDARD_PROFILES or _SPELLED.match(text):
        return text
    raise ValueError(f"{text!r} is no rendition; write 640x360@30:800k or one of {', '.join(STANDARD_PROFILES)}")


Rendition = Annotated[str, AfterValidator(_rendition), WithJsonSchema({"type": "string"})]
"""A standard name, or WIDTHxHEIGHT[@FPS]:BITRATEk."""


class SelfBenchmark(SpecModel):
    """What the node measures itself with. `true` takes every default."""

    ladder: tuple[Rendition, ...] = Field(default=STANDARD_LADDER, min_length=1, max_length=10)
    """The renditions of one stream: standard names such as P720p30fps16x9, or 640x360@30:800k."""

    source: str = Field(default="1920x1080", pattern=r"^\d{2,5}x\d{2,5}$")
    """Size of the generated stream that is sent in."""

    seconds: float = Field(default=6.0, ge=2)
    """Seconds of media a stream for each number of streams that is tried."""

    budget_s: float = Field(default=120.0, gt=0)
    """Seconds a device after which no further number is tried; the node serves after that."""

    down_mbit: float | None = Field(default=None, gt=0)
    """Mbit/s that the host's network brings in, which limits the sessions too. None: does not limit."""

    up_mbit: float | None = Field(default=None, gt=0)
    """Mbit/s that it takes out. None: does not limit."""


def _switch(value: Any) -> Any:
    return {} if value is True else None if value is False else value


DeclaredBenchmark = Annotated[SelfBenchmark | None, BeforeValidator(_switch)]
