"""What pipelines that take a picture have in common. Imports no torch."""

from typing import Annotated, ClassVar, TypeVar

from pydantic import Field

from livefleet.ai.kinds import JobFields, Kind, Upload
from livefleet.ai.pictures import MAX_SIDE, bounded_size_of

__all__ = ["MAX_STEPS", "Guidance", "PictureKind", "Side", "Steps", "not_by_eight"]

MAX_STEPS = 100
"""Most denoising steps. Gateways pay by the pixel, not by the step, so this bounds what a paid pixel can cost us."""

Side = Annotated[int, Field(ge=8, le=2048)]
"""Height or width of what is made, in pixels."""

Steps = Annotated[int, Field(ge=1, le=MAX_STEPS)]
Guidance = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]

F = TypeVar("F", bound=JobFields)


class PictureKind(Kind[F]):
    """Takes a picture, and refuses one that is too large by its header alone."""

    upload = Upload("image")
    max_side: ClassVar[int] = MAX_SIDE
    """Largest height or width of a picture that is taken, in pixels."""

    def fault(self, fields: F, upload: bytes | None) -> str | None:
        """What is no picture, and what is too large to be decoded."""
        try:
            self.size(upload)
        except ValueError as error:
            return str(error)
        return None

    def size(self, upload: bytes | None) -> tuple[int, int]:
        """(width, height) of the picture. Raises ValueError with the text for the gateway."""
        return bounded_size_of(upload or b"", max_side=self.max_side)


def not_by_eight(height: int, width: int) -> str | None:
    """ai-runner's words for a size that no diffusion model can make."""
    if height % 8 == 0 and width % 8 == 0:
        return None
    return f"`height` and `width` have to be divisible by 8 but are {height} and {width}."
