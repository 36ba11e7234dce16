"""Where models' files come from and where they are kept."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints

from livefleet.spec.memory import Memory
from livefleet.spec.model import SpecModel

__all__ = ["WeightsSettings", "hub_revision"]

_REVISION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


def hub_revision(text: str) -> str:
    """A name that a revision on the hub can have. Raises ValueError."""
    if len(text) > 200 or not _REVISION.fullmatch(text):
        raise ValueError("a revision is a branch, a tag or a commit: letters, digits and . _ - /")
    return text


def _cache(text: str) -> str:
    if not text.startswith(("/", "http://", "https://")):
        raise ValueError("a site's cache is an http or https URL, or an absolute folder")
    return text


class WeightsSettings(SpecModel):
    """Where models' files come from and where they are kept."""

    folder: str = Field(default="models", min_length=1)
    """Where they are kept; relative: in the node's state folder. It is laid out like the hub, so that any web or file
    server that exports it is a `site_cache` for other hosts."""

    hub: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/@?#]+(/[^\s?#]*)?$")] = "https://huggingface.co"
    """The hub, or a mirror of it."""

    token: str | None = Field(default=None, min_length=1)
    """Name (under `secrets`) of the hub's access token, for models that need a login. Nobody but the hub is sent it.
    None: nothing is sent."""

    site_cache: Annotated[str, AfterValidator(_cache)] | None = None
    """Where files are looked for before the hub is asked for them: the URL or the absolute folder of another host's
    `folder`, so that a site downloads a model once. What comes from there is checked by hash like everything else."""

    offline: bool = False
    """Never ask the hub. What is in `folder` or `site_cache` is used, anything else waits until it is there."""

    downloads: int = Field(default=4, ge=1, le=32)
    """Files fetched at once."""

    keep_free: Memory = 2 * 2**30
    """Disk space that a pull leaves free."""
