"""Orders of images."""

from pathlib import Path
from typing import Any

from deploys.image.bases import base_of
from deploys.image.order import ImageOrder
from livefleet.spec import ImageFormat
from livefleet.spec.enrol import FirstBoot

PIN = "sha256:" + "ab" * 32


def a_first_boot(**fields: Any) -> FirstBoot:
    return FirstBoot.model_validate({"url": "https://enrol.example.com:8939", "trust": {"pins": [PIN]}, **fields})


def an_order(**fields: Any) -> ImageOrder:
    base = base_of(fields.pop("suite", "bookworm"))
    profile = fields.pop("profile", "nvidia-turing")
    given: dict[str, Any] = {
        "profiles": (profile,) if isinstance(profile, str) else profile,
        "base": base,
        "sources": base.sources(None),
        "format": ImageFormat.EXT4,
        "out": Path("images"),
        "first_boot": a_first_boot(),
        **fields,
    }
    return ImageOrder(**given)
