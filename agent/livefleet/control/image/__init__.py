"""Images on the operator's side: having one made, looking into one, proving one."""

from livefleet.control.image.build import BuildStage, ImageRequest, build_image
from livefleet.control.image.look import image_of, manifest_of
from livefleet.control.image.verify import Finding, verify_image

__all__ = [
    "BuildStage",
    "Finding",
    "ImageRequest",
    "build_image",
    "image_of",
    "manifest_of",
    "verify_image",
]
