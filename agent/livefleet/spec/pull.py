"""Pull mode: a node that fetches its own slice of the fleet from a signed bundle."""

from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from livefleet.spec.model import SpecModel

__all__ = ["TRUST_ON_HOST", "PullSettings", "slice_path"]

TRUST_ON_HOST: Final = "pull/root.json"
"""Where the trusted root lies on a host, from the node's state folder."""


def slice_path(host: str) -> str:
    """Where a bundle has the host's slice, from the folder of its targets."""
    return f"hosts/{host}/node.yaml"


def _url(text: str) -> str:
    parts = urlsplit(text)
    is_web = parts.scheme in ("https", "http") and parts.hostname and not parts.username and not parts.password
    is_folder = parts.scheme == "file" and not parts.netloc and parts.path.startswith("/")
    if not (is_web or is_folder) or parts.query or parts.fragment or any(c.isspace() for c in text):
        raise ValueError("a bundle is at an http(s) URL without user, query or fragment, or at file:///absolute/folder")
    return text.rstrip("/")


class PullSettings(SpecModel):
    """Where the node finds the bundle, and how it knows that the bundle is the fleet's own."""

    url: Annotated[str, AfterValidator(_url)]
    """The folder that `livefleet bundle publish` writes, as hosts reach it: https, or `file:///` for a mounted one.
    Who can write there can keep news from hosts for a while, which is noticed; settings of his own no host takes."""

    trust: str = Field(min_length=1)
    """The bundle's first `root.json` on the operator's machine, relative to the fleet file. `apply` brings it to the
    host, where it is what every signature is traced back to; no secret. In node.yaml: where it is on the host."""

    every_s: float = Field(default=60.0, ge=1, le=86_400)
    """How often the node looks."""

    silence_s: float = Field(default=3600.0, ge=60)
    """After so long without a look that succeeded the condition `PulledSpec` is false. The node goes on as it is."""

    spread_s: float = Field(default=120.0, ge=0, le=86_400)
    """Changes that need a restart are taken over at a moment of this span that differs by host, so that a fleet does
    not restart as one. Changes that need none are taken over at once."""
