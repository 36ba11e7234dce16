"""Where a host gets the agent's packages."""

from pathlib import PurePosixPath
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from livefleet.spec.model import SpecModel

__all__ = ["ReleaseSettings"]


class ReleaseSettings(SpecModel):
    """Where a host gets the agent and what it stands on. The host checks every wheel's hash, from wherever it comes."""

    source: Literal["carried", "index", "cache"] = "carried"
    """`carried`: the operator's machine sends every wheel; the host needs no internet. `index`: the host downloads from
    a package index. `cache`: the host takes them from `cache`, wheels near it. livefleet's own wheel, the installer and
    wheels that no index can have travel in any case."""

    index_url: str | None = None
    """Package index for `index`, as https://pypi.org/simple. None: PyPI."""

    torch_index_url: str = "https://download.pytorch.org/whl"
    """Where builds of PyTorch are, one index a build under it (`.../cu126`): for the operator's machine, and for hosts
    with `index`."""

    cache: str | None = None
    """For `cache`: a folder on the host (a mounted share), or the address of a page that links wheels, as web servers
    list a folder. Filled from the operator's machine, which has all of them in `~/.cache/livefleet/wheels*`."""

    keep: int = Field(default=3, ge=2)
    """Releases kept on the host, the running one included, so that going back needs no download."""

    @field_validator("index_url", "torch_index_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        return value if value is None else _address(value)

    @field_validator("cache")
    @classmethod
    def _is_place(cls, value: str | None) -> str | None:
        return value if value is None or PurePosixPath(value).is_absolute() else _address(value)

    @model_validator(mode="after")
    def _cache_is_named(self) -> Self:
        if self.source == "cache" and self.cache is None:
            raise ValueError("`source: cache` needs `cache`: a folder on the host, or an address")
        return self


def _address(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in ("https", "http") or not url.netloc:
        raise ValueError(f"{value!r} is no address: write https://... (a `cache` may also be an absolute folder)")
    if "@" in url.netloc:
        raise ValueError("a password in an address would show in lists of processes: put it into the host's ~/.netrc")
    return value
