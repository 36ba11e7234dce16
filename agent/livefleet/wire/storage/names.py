"""Object names from what peers call things."""

from urllib.parse import quote

__all__ = ["object_name"]


def object_name(*parts: str) -> str:
    """A name below a grant's key. Each part stays one part: a profile called `../x` leads nowhere else."""
    return "/".join(_part(part) for part in parts)


def _part(text: str) -> str:
    encoded = quote(text, safe="") or "_"
    return encoded.replace(".", "%2E") if encoded in {".", ".."} else encoded
